"""Masks of voxels whose ratio depends on the distance from the sensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.masking import Mask, count_hidden
from core.random import Randomness, uniform_packed


def ring_of(distance: Tensor, edges: Sequence[float]) -> Tensor:
    """The ring of each distance: 0 up to and with the first edge, then 1, ...: int64 of the same shape."""
    return torch.bucketize(distance, torch.tensor(edges, dtype=distance.dtype, device=distance.device))


def range_mask(
    distance: Tensor, offsets: Tensor, edges: Sequence[float], ratios: Sequence[float], randomness: Randomness = None
) -> Mask:
    """Hide uniformly chosen voxels in each ring of each scene: exactly :func:`core.masking.count_hidden` of its voxels.

    A ring with one voxel keeps it visible, so every scene keeps some.

    Args:
        distance: (T,) of every voxel from the sensor, on the CPU, one scene after the other.
        offsets: (B + 1,) where scenes start.
        edges: radii between rings, ascending.
        ratios: share hidden in each ring, one more than edges.
        randomness: one CPU generator, one a scene, or None for torch's default.

    Source: Min et al., "Occupancy-MAE", Section III-C (range-aware random masking).
    """
    lengths = offsets.diff()
    scores = uniform_packed(lengths.tolist(), randomness)
    scene = torch.arange(len(lengths)).repeat_interleave(lengths)
    ring = scene * len(ratios) + ring_of(distance, edges)
    counts = torch.bincount(ring, minlength=len(lengths) * len(ratios))
    order = scores.argsort(stable=True)
    order = order[ring[order].argsort(stable=True)]  # by ring, by score within it
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order)) - (counts.cumsum(0) - counts)[ring[order]]
    hide = [count_hidden(n, ratios[number % len(ratios)]) for number, n in enumerate(counts.tolist())]
    return Mask(rank < torch.tensor(hide, dtype=torch.int64)[ring], offsets)


def hidden_share(mask: Mask, distance: Tensor, edges: Sequence[float]) -> list[tuple[int, float]]:
    """What a mask really hides: (voxels, share hidden) of every ring; NaN where a ring is empty."""
    ring = ring_of(distance, edges)
    found = []
    for number in range(len(edges) + 1):
        here = mask.hidden[ring == number]
        found.append((len(here), float(here.double().mean())))
    return found
