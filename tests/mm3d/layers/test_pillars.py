"""Pillars and their features against loops over points."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_pillars import ENCODER, GRID, batch, sweep
from torch import Tensor
from torch.nn import functional as F

from core.masking import Mask
from core.random import generator
from mm3d.config.pillars import PillarEncoderConfig, PillarGridConfig
from mm3d.layers.pillar_encoder import PillarEncoder, PillarFeatures, pooled
from mm3d.layers.pillars import Pillars, pillarize


def cell_of(point: Tensor) -> tuple[int, int] | None:
    """(y, x) of a point on the grid, None outside."""
    at = [(float(point[axis]) - GRID.low[axis]) / GRID.voxel_size[axis] for axis in range(3)]
    inside = all(0 <= value < size for value, size in zip(at, GRID.shape[::-1], strict=True))
    return (int(at[1]), int(at[0])) if inside else None


@given(st.integers(0, 10_000))
def test_pillars_hold_their_points(seed: int) -> None:
    points = sweep(seed)
    made = pillarize(points, GRID)
    assert made.indices.tolist() == sorted(made.indices.tolist())
    parts = made.points.split(made.counts.tolist())
    expected: dict[tuple[int, int], list[Tensor]] = {}
    for point in points:
        cell = cell_of(point)
        if cell is not None:
            expected.setdefault(cell, []).append(point)
    assert [(y, x) for _, y, x in made.indices.tolist()] == sorted(expected)
    for (_, y, x), part in zip(made.indices.tolist(), parts, strict=True):
        assert torch.equal(part, torch.stack(expected[y, x]))


def test_limits_keep_what_comes_first() -> None:
    points = sweep(0)
    whole, few = pillarize(points, GRID), pillarize(points, GRID, max_points=2)
    starts = whole.counts.cumsum(0) - whole.counts
    expected = [whole.points[s : s + min(int(n), 2)] for s, n in zip(starts, whole.counts, strict=True)]
    assert torch.equal(few.points, torch.cat(expected))
    assert torch.equal(few.counts, whole.counts.clamp(max=2))
    first: list[tuple[int, int]] = []
    for point in points:
        cell = cell_of(point)
        if cell is not None and cell not in first:
            first.append(cell)
    limited = pillarize(points, GRID, max_pillars=5)
    assert [(y, x) for _, y, x in limited.indices.tolist()] == sorted(first[:5])
    assert len(limited.points) == limited.counts.sum()


def test_features_are_those_of_the_released_layers() -> None:
    """The dynamic encoder written with loops: offsets from the mean and the middle, two layers, a maximum after each."""
    torch.manual_seed(0)
    layer, pillars = PillarFeatures(4, 8, 16).train(), Pillars(batch(), GRID)
    known = []
    for index, part in zip(pillars.indices, pillars.points.split(pillars.counts.tolist()), strict=True):
        middle = [(int(i) + 0.5) * s + low for i, s, low in
                  zip(index[[3, 2, 1]], GRID.voxel_size, GRID.low, strict=True)]  # fmt: skip
        known.append(torch.cat([part, part[:, :3] - part[:, :3].mean(0), part[:, :3] - torch.tensor(middle)], dim=1))
    counts = pillars.counts.tolist()

    def normed(x: Tensor, norm: torch.nn.Module) -> Tensor:
        x = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-3).sqrt()
        return F.relu(x * norm.weight + norm.bias)  # type: ignore[operator]

    first = normed(torch.cat(known) @ layer.point.weight.T, layer.point_norm)
    whole = torch.cat([part.amax(0).expand(len(part), -1) for part in first.split(counts)])
    second = normed(torch.cat([first, whole], dim=1) @ layer.mix.weight.T, layer.mix_norm)
    expected = torch.stack([part.amax(0) for part in second.split(counts)])
    torch.testing.assert_close(layer(pillars), expected, rtol=1e-4, atol=1e-4)


def test_visible_pillars_are_encoded_alone() -> None:
    torch.manual_seed(0)
    encoder, pillars = PillarEncoder(ENCODER), Pillars(batch(), GRID)
    for _ in range(3):
        encoder(pillars)  # statistics of batch norm
    hidden = torch.rand(len(pillars), generator=generator(0)) < 0.7
    mask = Mask(hidden, pillars.offsets)
    encoder.eval()
    found = encoder(pillars, mask)
    alone = encoder(pillars.part(~hidden, mask.visible_offsets))
    assert torch.equal(found, alone)
    everything = encoder.embed(pillars)[~hidden]
    torch.testing.assert_close(encoder.transformer(everything, pillars.indices[~hidden]), found)
    encoder.train()
    seen = encoder(pillars, mask)
    encoder.config = PillarEncoderConfig(GRID, 4, 8, 16, 2, 2, 24, 4, embed="visible")
    assert not torch.allclose(encoder(pillars, mask), seen)  # batch norm sees other points
    assert torch.equal(seen, encoder.transformer(encoder.embed(pillars)[~hidden], pillars.indices[~hidden]))


def test_a_sweep_alone_is_as_in_a_batch() -> None:
    torch.manual_seed(0)
    encoder = PillarEncoder(ENCODER).eval()
    together = Pillars(batch((0, 1, 2)), GRID)
    tokens = encoder(together)
    summary = pooled(tokens, together)
    assert summary.shape == (3, 32)
    for number in range(3):
        alone = Pillars(batch((number,)), GRID)
        part = tokens[together.offsets[number] : together.offsets[number + 1]]
        torch.testing.assert_close(encoder(alone), part, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(pooled(encoder(alone), alone), summary[number : number + 1], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(summary[number], torch.cat([part.amax(0), part.mean(0)]))


def test_the_order_of_points_does_not_matter() -> None:
    torch.manual_seed(0)
    encoder, points = PillarEncoder(ENCODER).eval(), sweep(0)
    from mm3d.data.pillar_samples import pillar_batch

    given_order = Pillars(pillar_batch([pillarize(points, GRID)]), GRID)
    other = Pillars(pillar_batch([pillarize(points[torch.randperm(len(points))], GRID)]), GRID)
    torch.testing.assert_close(encoder(other), encoder(given_order), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("make", "said"), [
    (lambda: PillarGridConfig(voxel_size=(0.5, 0.5, 4.0)), "2 cells along z; a pillar has one"),
    (lambda: PillarGridConfig(voxel_size=(0.3, 0.5, 8.0)), "does not divide"),
    (lambda: PillarEncoderConfig(dim=30, heads=3), "dim 30: expected a multiple of 4"),
    (lambda: PillarEncoderConfig(dim=32, heads=3), "dim 32: expected a multiple of the 3 heads"),
    (lambda: PillarEncoderConfig(window=0), "window 0"),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=said):
        make()


def test_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="points have 4 features, expected 5"):
        PillarFeatures(5, 8, 16)(Pillars(batch(), GRID))
