from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mm3d.data.transforms import (
    farthest_subset,
    jitter,
    random_rotation,
    random_subset,
    rotate_any,
    rotate_up_axis,
    scale_and_shift,
    scale_and_translate,
    unit_sphere,
)

Transform = Callable[[Tensor, torch.Generator], Tensor]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cloud(count: int = 50, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, generator=seeded(seed))


RANDOM: list[Transform] = [
    scale_and_translate,
    scale_and_shift,
    rotate_up_axis,
    rotate_any,
    jitter,
    lambda p, g: random_subset(p, g, 20),
    lambda p, g: random_subset(p, g, 80),
]


@pytest.mark.parametrize("transform", RANDOM)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_under_the_same_generator(transform: Transform, dtype: torch.dtype) -> None:
    points = cloud().to(dtype)
    before = points.clone()
    first, second, other = (
        transform(points, seeded(1)),
        transform(points, seeded(1)),
        transform(points, seeded(2)),
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(points, before)
    assert first.dtype == dtype


def test_scale_and_translate_stays_in_range_and_fills_it() -> None:
    frame = torch.cat([torch.zeros(1, 3), torch.eye(3)])
    moves, scales, generator = [], [], seeded(0)
    for _ in range(2000):
        moved = scale_and_translate(frame, generator)
        moves.append(moved[0])
        scales.append((moved[1:] - moved[0]).diagonal())
    for values, low, high in [(torch.stack(moves), -0.2, 0.2), (torch.stack(scales), 2 / 3, 3 / 2)]:
        assert (values >= low - 1e-6).all()
        assert (values <= high + 1e-6).all()
        assert torch.allclose(values.mean(0), torch.full((3,), (low + high) / 2), atol=0.03)
        assert torch.allclose(values.var(0), torch.full((3,), (high - low) ** 2 / 12), rtol=0.1)
        correlation = torch.corrcoef(values.T)
        assert (correlation - torch.eye(3)).abs().max() < 0.1  # each axis of its own


def test_scale_and_shift_has_one_scale_for_all_axes() -> None:
    frame = torch.cat([torch.zeros(1, 3), torch.eye(3)])
    moves, scales, generator = [], [], seeded(0)
    for _ in range(2000):
        moved = scale_and_shift(frame, generator)
        scale = moved[1, 0] - moved[0, 0]
        torch.testing.assert_close(moved[1:] - moved[0], scale * torch.eye(3))
        moves.append(moved[0])
        scales.append(scale)
    for values, low, high in [(torch.stack(moves), -0.1, 0.1), (torch.stack(scales)[:, None], 0.8, 1.25)]:
        assert (values >= low - 1e-6).all()
        assert (values <= high + 1e-6).all()
        assert torch.allclose(values.mean(0), torch.full((values.shape[1],), (low + high) / 2), atol=0.01)
        assert torch.allclose(values.var(0), torch.full((values.shape[1],), (high - low) ** 2 / 12), rtol=0.1)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rotation_about_an_axis(axis: int) -> None:
    points = cloud().double()
    turned = rotate_up_axis(points, seeded(3), axis)
    assert torch.allclose(turned[:, axis], points[:, axis])
    assert torch.allclose(turned.norm(dim=1), points.norm(dim=1))
    matrix = rotate_up_axis(torch.eye(3, dtype=torch.float64), seeded(3), axis)
    assert torch.linalg.det(matrix).item() == pytest.approx(1)
    angles = []
    generator = seeded(0)
    first, second = torch.eye(3)[(axis + 1) % 3][None], (axis + 2) % 3
    for _ in range(1000):
        turned = rotate_up_axis(first, generator, axis)[0]
        angles.append(torch.atan2(turned[second], turned[(axis + 1) % 3]))
    counts = torch.histc(torch.stack(angles), 8, -torch.pi, torch.pi)
    assert counts.min() > 85


def test_rotate_up_axis_refuses_another_axis() -> None:
    with pytest.raises(ValueError, match="axis is 3"):
        rotate_up_axis(cloud(), seeded(0), 3)


@given(st.integers(0, 10**6))
def test_any_rotation_is_a_rotation(seed: int) -> None:
    matrix = random_rotation(seeded(seed))
    assert torch.allclose(matrix @ matrix.T, torch.eye(3, dtype=torch.float64), atol=1e-12)
    assert torch.linalg.det(matrix).item() == pytest.approx(1)
    points = cloud().double()
    turned = rotate_any(points, seeded(seed))
    assert torch.allclose(turned, points @ matrix.T)
    assert torch.allclose(turned @ turned.T, points @ points.T)  # norms and angles


def test_rotations_are_uniform() -> None:
    """Where a fixed vector goes: each coordinate uniform on [-1, 1] (Archimedes); mean trace 0."""
    generator = seeded(0)
    matrices = torch.stack([random_rotation(generator) for _ in range(3000)])
    for column in range(3):
        counts = torch.histc(matrices[:, 1, column].float(), 6, -1, 1)
        assert (counts - 500).abs().max() < 90  # 4.4 standard deviations
    assert matrices.diagonal(dim1=1, dim2=2).sum(1).mean().abs() < 0.08


def test_jitter_has_the_size_asked_for() -> None:
    noise = jitter(torch.zeros(20000, 3), seeded(0), sigma=0.02, clip=1.0)
    assert noise.std().item() == pytest.approx(0.02, rel=0.02)
    assert jitter(torch.zeros(2000, 3), seeded(0), sigma=0.02, clip=0.01).abs().max() <= 0.01
    assert torch.equal(jitter(cloud(), seeded(0), sigma=0.0), cloud())
    with pytest.raises(ValueError, match=">= 0"):
        jitter(cloud(), seeded(0), sigma=-1.0)


@given(st.integers(1, 40), st.integers(1, 100), st.integers(0, 1000))
def test_random_subset(total: int, count: int, seed: int) -> None:
    points = torch.arange(total).float()[:, None].expand(total, 3)
    chosen = random_subset(points, seeded(seed), count)[:, 0].tolist()
    assert len(chosen) == count
    assert len(set(chosen)) == min(total, count)  # repeats only where there are too few, and then nobody is lost


def test_subset_errors() -> None:
    with pytest.raises(ValueError, match="0 of 5"):
        random_subset(cloud(5), seeded(0), 0)
    with pytest.raises(ValueError, match="6 of 5"):
        farthest_subset(cloud(5), 6)


def test_farthest_subset_starts_at_zero_and_spreads() -> None:
    points = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [10, 0, 0], [5, 0, 0], [0, 0.2, 0]])
    assert torch.equal(farthest_subset(points, 3), points[[0, 2, 3]])


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_unit_sphere(scale: float, shift: float) -> None:
    points = unit_sphere((cloud() + shift) * scale)
    assert points.dtype == torch.float32
    assert points.norm(dim=1).max().item() == pytest.approx(1, abs=1e-6)
    assert points.mean(dim=0).abs().max() < 1e-6
    if shift == 0:
        assert torch.allclose(points, unit_sphere(cloud()), atol=1e-5)


def test_unit_sphere_never_gives_nan() -> None:
    for bad, message in [
        (torch.ones(5, 3), "all 5 points are equal"),
        (torch.ones(1, 3), "all 1 points are equal"),
        (torch.zeros(0, 3), "at least one point"),
        (torch.tensor([[0.0, 0, 0], [1, float("nan"), 0]]), "finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            unit_sphere(bad)
    close = torch.tensor([[1000.0, 0, 0], [1000.0001, 0, 0]])  # one rounding step apart in float32
    assert torch.isfinite(unit_sphere(close)).all()
