"""Farthest point sampling: the naive loop, the official kernel's rule, ties, errors, official centres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mm3d.ops import farthest_point_sample, gather
from mm3d.ops.farthest_point_sample import _sample_device


def naive(points: Tensor, count: int, start: Tensor) -> Tensor:
    """The loop of PointNet++ codes in torch."""
    clouds = torch.arange(len(points))
    picks = torch.zeros(len(points), count, dtype=torch.long)
    nearest = torch.full(points.shape[:2], 1e10, dtype=points.dtype)
    farthest = start
    for i in range(count):
        picks[:, i] = farthest
        distance = torch.sum((points - points[clouds, farthest][:, None]) ** 2, -1)
        mask = distance < nearest
        nearest[mask] = distance[mask]
        farthest = torch.max(nearest, -1)[1]
    return picks


def kernel(points: np.ndarray, count: int, start: int) -> list[int]:
    """The rule of the official CUDA kernel for one cloud, written out point by point in float32."""
    picks, old = [start], start
    temp = [np.float32(1e10)] * len(points)
    for _ in range(1, count):
        best, besti = np.float32(-1), 0
        x1, y1, z1 = points[old]
        for k, (x2, y2, z2) in enumerate(points):
            if float((x2 * x2) + (y2 * y2) + (z2 * z2)) <= 1e-3:
                continue
            d = (x2 - x1) * (x2 - x1) + (y2 - y1) * (y2 - y1) + (z2 - z1) * (z2 - z1)
            temp[k] = min(d, temp[k])
            if temp[k] > best:
                best, besti = temp[k], k
        old = besti
        picks.append(old)
    return picks


def cloud(seed: int, batch: int, size: int, kind: str, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if kind == "grid":  # many exact ties and duplicates
        return torch.randint(-2, 3, (batch, size, 3), generator=generator).to(dtype)
    points = torch.randn(batch, size, 3, generator=generator, dtype=dtype)
    if kind == "duplicates":
        return points[:, torch.randint(0, max(1, size // 3), (size,), generator=generator)]
    if kind == "origin":  # about half of the points within the skipped radius of 0.0316
        return points * torch.where(torch.rand(batch, size, 1, generator=generator) < 0.5, 0.01, 0.2).to(dtype)
    return points


CLOUDS = {
    "seed": st.integers(0, 10**6),
    "batch": st.integers(1, 4),
    "size": st.integers(1, 70),
    "kind": st.sampled_from(["random", "grid", "duplicates", "origin"]),
}


@given(**CLOUDS, part=st.floats(0, 1), wide=st.booleans())
def test_equals_the_naive_loop(seed: int, batch: int, size: int, kind: str, part: float, wide: bool) -> None:
    points = cloud(seed, batch, size, kind, torch.float64 if wide else torch.float32)
    count = 1 + int(part * (size - 1))
    start = torch.randint(0, size, (batch,), generator=torch.Generator().manual_seed(seed))
    before = points.clone()
    picks = farthest_point_sample(points, count, start)
    assert picks.dtype == torch.long
    assert torch.equal(picks, naive(points, count, start))
    assert torch.equal(points, before)


@pytest.mark.parametrize("shape", [(32, 1024, 64), (3, 40000, 20), (70, 1000, 8)])
def test_equals_the_naive_loop_over_several_blocks(shape: tuple[int, int, int]) -> None:
    points = cloud(1, shape[0], shape[1], "random")
    assert torch.equal(
        farthest_point_sample(points, shape[2]),
        naive(points, shape[2], torch.zeros(shape[0], dtype=torch.long)),
    )


@given(**CLOUDS, part=st.floats(0, 1))
def test_skip_near_origin_equals_the_kernel(seed: int, batch: int, size: int, kind: str, part: float) -> None:
    points = cloud(seed, batch, size, kind)
    count = 1 + int(part * (size - 1))
    starts = torch.randint(0, size, (batch,), generator=torch.Generator().manual_seed(seed))
    picks = farthest_point_sample(points, count, starts, skip_near_origin=True)
    for one, start, got in zip(points.numpy(), starts.tolist(), picks.tolist(), strict=True):
        assert got == kernel(one, count, start)


@given(**CLOUDS, skip=st.booleans())
def test_device_loop_equals_cpu_path(seed: int, batch: int, size: int, kind: str, skip: bool) -> None:
    points = cloud(seed, batch, size, kind)
    running = torch.full((batch, size), torch.inf)
    if skip:
        running[points.square().sum(2) <= 1e-3] = -1
    first = torch.zeros(batch, dtype=torch.long)
    expected = farthest_point_sample(points, size, skip_near_origin=skip)
    assert torch.equal(_sample_device(points, size, first, running), expected)


def test_skip_rule_without_candidates_and_at_the_threshold() -> None:
    inside = torch.tensor([[[0.0, 0, 0.01], [0, 0.02, 0], [0.03, 0, 0]]])
    assert farthest_point_sample(inside, 3, 2, skip_near_origin=True).tolist() == [[2, 0, 0]]
    assert farthest_point_sample(inside, 3, 2).tolist() == [[2, 1, 0]]
    used_up = torch.tensor([[[0.01, 0, 0], [1, 0, 0], [2, 0, 0], [0, 0, 0]]])
    assert farthest_point_sample(used_up, 4, 1, skip_near_origin=True).tolist() == [[1, 2, 1, 1]]
    # |p|^2 of the second is the float32 next to 1e-3, which the kernel, in double precision, finds larger.
    points = np.array([[1, 0, 0], [0.002, 0.031559467, 0], [0.9, 0, 0]], dtype=np.float32)
    assert np.square(points[1]).sum() == np.float32(1e-3)
    assert kernel(points, 3, 0) == [0, 1, 2]
    got = farthest_point_sample(torch.from_numpy(points)[None], 3, skip_near_origin=True)
    assert got.tolist() == [[0, 1, 2]]


def test_permuting_the_points_permutes_the_picks() -> None:
    points = cloud(5, 3, 200, "random")
    order = torch.randperm(200, generator=torch.Generator().manual_seed(2))
    start = int((order == 7).nonzero())
    expected = gather(points, farthest_point_sample(points, 30, 7))
    shuffled = points[:, order]
    assert torch.equal(gather(shuffled, farthest_point_sample(shuffled, 30, start)), expected)


def test_every_point_is_picked_once_and_radius_never_grows() -> None:
    points = cloud(6, 2, 50, "random")
    picks = farthest_point_sample(points, 50)
    assert torch.equal(picks.sort(1).values, torch.arange(50).expand(2, -1))
    chosen = gather(points, picks)
    radii = [torch.cdist(chosen[:, i : i + 1], chosen[:, :i]).amin((1, 2)) for i in range(1, 50)]
    assert bool((torch.stack(radii).diff(dim=0) <= 1e-5).all())


def test_more_picks_than_distinct_points_repeat_index_zero() -> None:
    points = torch.tensor([[[1.0, 0, 0], [2, 0, 0], [2, 0, 0], [1, 0, 0]]])
    assert farthest_point_sample(points, 4, 1).tolist() == [[1, 0, 0, 0]]


def test_int_start_equals_tensor_start_and_gradient_is_not_needed() -> None:
    points = cloud(8, 2, 20, "random").requires_grad_()
    expected = farthest_point_sample(points.detach(), 5, torch.tensor([3, 3], dtype=torch.int32))
    assert torch.equal(farthest_point_sample(points, 5, 3), expected)
    assert torch.equal(farthest_point_sample(points.double(), 5, 3), expected)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_bad_coordinates_give_indices_in_range(bad: float) -> None:
    points = cloud(9, 2, 20, "random")
    points[0, 4, 1] = bad
    for skip in (False, True):
        picks = farthest_point_sample(points, 20, skip_near_origin=skip)
        assert int(picks.min()) >= 0
        assert int(picks.max()) < 20
        assert torch.equal(picks[1], farthest_point_sample(points[1:], 20, skip_near_origin=skip)[0])


@pytest.mark.parametrize(
    ("shape", "count", "start"),
    [
        ((2, 5, 3), 6, 0),
        ((2, 5, 3), 0, 0),
        ((2, 0, 3), 1, 0),
        ((5, 3), 1, 0),
        ((2, 5, 2), 1, 0),
        ((2, 5, 3), 1, 5),
        ((2, 5, 3), 1, -1),
        ((2, 5, 3), 1, torch.tensor([0, 5])),
        ((2, 5, 3), 1, torch.tensor([-1, 0])),
        ((2, 5, 3), 1, torch.tensor([0])),
        ((2, 5, 3), 1, torch.tensor([0.0, 1.0])),
    ],
)
def test_errors(shape: tuple[int, ...], count: int, start: int | Tensor) -> None:
    with pytest.raises(ValueError, match=r"points|count|start"):
        farthest_point_sample(torch.zeros(shape), count, start)


def test_integer_points_are_refused() -> None:
    with pytest.raises(ValueError, match="floating"):
        farthest_point_sample(torch.zeros(1, 4, 3, dtype=torch.long), 2)


def test_official_centres(shared: Path) -> None:
    with np.load(shared / "golden" / "point_mae_pretrain.npz", allow_pickle=False) as arrays:
        points, centres = (torch.from_numpy(arrays[name]) for name in ("points", "out/group_divider/1"))
    picks = farthest_point_sample(points, centres.shape[1], skip_near_origin=True)
    assert torch.equal(gather(points, picks), centres)
