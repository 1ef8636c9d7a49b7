"""Stored sweeps as samples for training and evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from core.errors import UserError
from mm3d.config.voxels import GridConfig, SweepsConfig
from mm3d.data.sweeps import Sweeps, in_grid
from mm3d.models.voxel_mae import VoxelBatch


class VoxelSample(NamedTuple):
    """One sweep's voxels, sorted: features (M, C), indices (M, 3)."""

    features: Tensor
    indices: Tensor


class SweepSamples:
    """Training samples of sweeps: augmented, cropped to the grid, voxelised. A batch is a VoxelBatch.

    Args:
        sweeps: what :func:`mm3d.data.sweeps.usable` left.
        config: augmentation and limits.
        grid: where voxels are.
        features: columns of the points that are taken.
    """

    def __init__(self, sweeps: Sweeps, config: SweepsConfig, grid: GridConfig, features: int = 4) -> None:
        if features > 4:
            raise UserError(f"model.encoder.features {features}: sweeps have 4 (x, y, z, intensity)")
        self.sweeps, self.config, self.grid, self.features = sweeps, config, grid, features

    def __len__(self) -> int:
        return len(self.sweeps)

    def sample(self, index: int, generator: torch.Generator) -> VoxelSample:
        points = self.sweeps.points(index)
        sample = self._voxels(augmented(points, self.config, generator))
        if len(sample.indices) < self.config.minimum:  # turned out of a range that looks one way
            sample = self._voxels(points)
        return sample

    def whole(self, index: int) -> VoxelSample:
        """A sweep as it is evaluated: not augmented, with all its voxels."""
        return self._voxels(self.sweeps.points(index), limit=False)

    def collate(self, samples: Sequence[VoxelSample]) -> VoxelBatch:
        counts = torch.tensor([0, *[len(sample.indices) for sample in samples]])
        scene = torch.arange(len(samples)).repeat_interleave(counts[1:])
        indices = torch.cat([scene[:, None], torch.cat([sample.indices for sample in samples])], dim=1)
        return VoxelBatch(torch.cat([sample.features for sample in samples]), indices, counts.cumsum(0))

    def _voxels(self, points: Tensor, limit: bool = True) -> VoxelSample:
        made = in_grid(points, self.config, self.grid, (self.config.max_voxels or None) if limit else None)
        return VoxelSample(made.features[:, : self.features], made.indices)


def augmented(points: Tensor, config: SweepsConfig, generator: torch.Generator) -> Tensor:
    """Points (N, C) mirrored, turned about z and scaled, as the configuration says, with draws from the generator."""
    points = points.clone()
    for name in config.augment:
        draw = float(torch.rand((), generator=generator))
        if name in ("flip_x", "flip_y"):
            if draw < 0.5:
                points[:, "xy".index(name[-1])] *= -1
        elif name == "rotate":
            angle = config.rotation * (2 * draw - 1)
            turn = points.new_tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
            points[:, :2] = points[:, :2] @ turn
        else:
            low, high = config.scaling
            points[:, :3] *= low + (high - low) * draw
    return points
