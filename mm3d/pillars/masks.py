"""Masks of pillars: which are hidden, and which empty ones the decoder is asked about beside them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from core.masking import Mask, random_mask_packed
from core.random import Randomness, uniform
from mm3d.ops.kernel_map import ravel, unravel


class PillarMask(Mask):
    """A packed mask that also names empty pillars.

    Args:
        hidden: (T,) bool, of the pillars that hold points.
        offsets: (B + 1,) where sweeps start among them.
        empty: (E, 4) int64 (sweep, 0, y, x) of pillars that hold no point, sweep by sweep.
    """

    def __init__(self, hidden: Tensor, offsets: Tensor, empty: Tensor) -> None:
        super().__init__(hidden, offsets)
        if empty.ndim != 2 or empty.shape[1] != 4 or empty.dtype != torch.int64:
            raise ValueError(f"empty pillars are (E, 4) int64, got {tuple(empty.shape)} {empty.dtype}")
        self.empty = empty

    def to(self, device: torch.device | str) -> PillarMask:
        assert self.offsets is not None
        return PillarMask(self.hidden.to(device), self.offsets.to(device), self.empty.to(device))


def pillar_mask(
    indices: Tensor,
    offsets: Tensor,
    shape: tuple[int, int, int],
    ratio: float,
    empty_ratio: float,
    randomness: Randomness = None,
) -> PillarMask:
    """Hide uniformly chosen pillars, and choose empty ones.

    Args:
        indices: (T, 4) int64 pillars with points, on any device.
        offsets: (B + 1,) where sweeps start.
        shape: cells (1, y, x).
        ratio: share hidden of every sweep's pillars; the count is :func:`core.masking.count_hidden`.
        empty_ratio: empty pillars as a share of those with points, rounded down; all where there are fewer.
        randomness: one CPU generator, one a sweep, or None for torch's default.

    Returns:
        A mask on the CPU.

    Source: Hess et al., "Masked Autoencoder for Self-Supervised Pre-training on Lidar Point Clouds", Section 3.
    """
    indices, offsets = indices.cpu(), offsets.cpu()
    lengths: list[int] = offsets.diff().tolist()
    mask = random_mask_packed(lengths, ratio, randomness)
    return PillarMask(mask.hidden, offsets, empty_pillars(indices, lengths, shape, empty_ratio, randomness))


def empty_pillars(
    indices: Tensor, lengths: Sequence[int], shape: tuple[int, int, int], ratio: float, randomness: Randomness = None
) -> Tensor:
    """Uniformly chosen cells without points, sorted: (E, 4) int64; arguments as :func:`pillar_mask`."""
    if ratio == 0:
        return indices.new_empty(0, 4)
    cells = shape[0] * shape[1] * shape[2]
    scores = uniform(len(lengths), cells, randomness)
    scores.view(-1)[ravel(indices, shape)] = 2.0  # those with points come last
    found = []
    for sweep, (row, length) in enumerate(zip(scores, lengths, strict=True)):
        count = min(int(Fraction(str(ratio)) * length), cells - length)
        found.append(row.topk(count, largest=False).indices.sort().values + sweep * cells)
    return unravel(torch.cat(found), shape)
