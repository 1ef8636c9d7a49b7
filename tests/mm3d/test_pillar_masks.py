"""Masks of pillars: counts, empty pillars, replay, independence of the batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_pillars import GRID, batch

from core.masking import count_hidden
from core.random import generator
from mm3d.pillars.masks import PillarMask, pillar_mask


@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.7, 0.9]), st.sampled_from([0.0, 0.1, 0.5, 50.0]))
def test_counts_and_places(seed: int, ratio: float, empty_ratio: float) -> None:
    data = batch()
    mask = pillar_mask(data.indices, data.offsets, GRID.shape, ratio, empty_ratio, generator(seed))
    lengths = data.offsets.diff().tolist()
    assert mask.counts.tolist() == [count_hidden(n, ratio) for n in lengths]
    with_points = {tuple(index) for index in data.indices.tolist()}
    chosen = [tuple(index) for index in mask.empty.tolist()]
    assert len(set(chosen)) == len(chosen)
    assert not with_points & set(chosen)
    assert chosen == sorted(chosen)
    for number, length in enumerate(lengths):
        count = sum(index[0] == number for index in chosen)
        assert count == min(int(length * empty_ratio + 1e-9), GRID.cells - length)
    assert all(0 <= y < 12 and 0 <= x < 16 and z == 0 for _, z, y, x in chosen)


def test_empty_pillars_are_chosen_uniformly() -> None:
    data = batch((0,))
    free = torch.ones(GRID.cells)
    free[data.indices[:, 2] * 16 + data.indices[:, 3]] = 0
    counts = torch.zeros(GRID.cells)
    for seed in range(600):
        empty = pillar_mask(data.indices, data.offsets, GRID.shape, 0.7, 0.1, generator(seed)).empty
        counts[empty[:, 2] * 16 + empty[:, 3]] += 1
    expected = counts.sum() / free.sum()
    assert counts[free == 0].sum() == 0
    assert (counts[free == 1] - expected).abs().max() < 5 * expected.sqrt()


def test_a_mask_depends_on_its_sweep_alone_and_replays() -> None:
    together = batch((0, 1))
    sources = [generator("mask", number) for number in range(2)]
    mask = pillar_mask(together.indices, together.offsets, GRID.shape, 0.7, 0.1, sources)
    alone = batch((1,))
    other = pillar_mask(alone.indices, alone.offsets, GRID.shape, 0.7, 0.1, [generator("mask", 1)])
    assert torch.equal(other.hidden, mask.hidden[together.offsets[1] :])
    assert torch.equal(other.empty[:, 1:], mask.empty[mask.empty[:, 0] == 1][:, 1:])
    moved = mask.to("cpu")
    assert isinstance(moved, PillarMask)
    assert torch.equal(moved.empty, mask.empty)


def test_bad_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="empty pillars are"):
        PillarMask(torch.zeros(3, dtype=torch.bool), torch.tensor([0, 3]), torch.zeros(2, 3))
