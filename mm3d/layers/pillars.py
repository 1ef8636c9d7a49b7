"""Pillars: what is above each cell of the ground, with its points packed."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from mm3d.config.pillars import PillarGridConfig
from mm3d.ops.voxel_grid import VoxelGrid
from mm3d.ops.voxelize import voxel_centers, voxelize


class PillarBatch(NamedTuple):
    """Pillars of B sweeps, one sweep after the other, each sorted by (y, x), and their points in the same order.

    ``points``: (P, C) float32: x, y, z and further features. ``counts``: (T,) int64 points of each pillar, at least 1.
    ``indices``: (T, 4) int64: sweep, 0, y, x. ``offsets``: (B + 1,) where the pillars of each sweep start.
    """

    points: Tensor
    counts: Tensor
    indices: Tensor
    offsets: Tensor


class PillarPoints(NamedTuple):
    """The pillars of one sweep: points (P, C) sorted by pillar, counts (T,), indices (T, 3): 0, y, x."""

    points: Tensor
    counts: Tensor
    indices: Tensor


def pillarize(points: Tensor, grid: PillarGridConfig, max_points: int = 0, max_pillars: int = 0) -> PillarPoints:
    """Sort the points of a sweep into pillars.

    Args:
        points: (N, C), the first three columns x, y, z in metres; those outside the range are left out.
        max_points: of a pillar, the first ones in the order given; 0 for all.
        max_pillars: those whose points come first; 0 for all.
    """
    found = voxelize(points, grid.low, grid.voxel_size, grid.shape, None, max_pillars or None)
    pillar, order = found.voxel_of.sort(stable=True)
    outside = int((pillar < 0).sum())
    pillar, order, counts = pillar[outside:], order[outside:], found.counts
    if max_points:
        rank = torch.arange(len(pillar), device=points.device) - (counts.cumsum(0) - counts)[pillar]
        order, counts = order[rank < max_points], counts.clamp(max=max_points)
    return PillarPoints(points[order], counts, found.indices)


def in_full(values: Tensor) -> Tensor:
    """In float32, float64 as it is."""
    return values if values.dtype == torch.float64 else values.float()


class Pillars:
    """The pillars of a batch, as encoders and targets read them.

    Args:
        batch: points and where pillars are.
        config: the grid.
    """

    def __init__(self, batch: PillarBatch, config: PillarGridConfig) -> None:
        self.points, self.counts, self.indices, self.offsets = batch
        self.config = config

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def batch_size(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def grid(self) -> VoxelGrid:
        """The cells that hold points."""
        return VoxelGrid(self.indices, self.config.shape, self.batch_size, check=False)

    @cached_property
    def pillar_of(self) -> Tensor:
        """Pillar of each point, (P,) int64."""
        return torch.repeat_interleave(self.counts, output_size=len(self.points))

    @cached_property
    def centers(self) -> Tensor:
        """Middles of the pillars in metres, (T, 3)."""
        return voxel_centers(self.indices[:, 1:], self.config.low, self.config.voxel_size)

    @cached_property
    def size(self) -> Tensor:
        """Edges (x, y, z) of a pillar in metres, (3,)."""
        return self.points.new_tensor(self.config.voxel_size)

    @cached_property
    def centroids(self) -> Tensor:
        """Means of the points of pillars in metres, (T, 3)."""
        return self.mean(self.points[:, :3] - self.centers[self.pillar_of]) + self.centers

    @cached_property
    def within(self) -> Tensor:
        """Points relative to the middle of their pillar, from -1 at one face to 1 at the other: (P, 3)."""
        return (self.points[:, :3] - self.centers[self.pillar_of]) * (2 / self.size)

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the points of pillars: (P, C) -> (T, C)."""
        sums = values.new_zeros(len(self), values.shape[1]).index_add(0, self.pillar_of, values)
        return sums / self.counts[:, None]

    def max(self, values: Tensor) -> Tensor:
        """Maximum over the points of pillars: (P, C) -> (T, C), in float32 at least."""
        return torch.segment_reduce(in_full(values), "max", lengths=self.counts, axis=0)

    def part(self, chosen: Tensor, offsets: Tensor) -> Pillars:
        """Some of the pillars: (T,) bool, and where sweeps start among them."""
        batch = PillarBatch(self.points[chosen[self.pillar_of]], self.counts[chosen], self.indices[chosen], offsets)
        return Pillars(batch, self.config)
