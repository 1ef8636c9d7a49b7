"""Stored sweeps as samples of pillars for training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.errors import UserError
from mm3d.config.pillars import PillarGridConfig
from mm3d.config.voxels import SweepsConfig
from mm3d.data.sweep_samples import augmented
from mm3d.data.sweeps import Sweeps
from mm3d.layers.pillars import PillarBatch, PillarPoints, pillarize


class PillarSamples:
    """Training samples of sweeps: augmented, cropped to the range, sorted into pillars. A batch is a PillarBatch.

    Args:
        sweeps: what :func:`mm3d.data.sweeps.usable` left.
        config: augmentation and limits; ``max_points`` and ``max_voxels`` are those of a pillar and of pillars.
        grid: where pillars are.
        features: columns of the points that are taken.
    """

    def __init__(self, sweeps: Sweeps, config: SweepsConfig, grid: PillarGridConfig, features: int = 4) -> None:
        if features > 4:
            raise UserError(f"model.encoder.features {features}: sweeps have 4 (x, y, z, intensity)")
        self.sweeps, self.config, self.grid, self.features = sweeps, config, grid, features

    def __len__(self) -> int:
        return len(self.sweeps)

    def sample(self, index: int, generator: torch.Generator) -> PillarPoints:
        points = self.sweeps.points(index)
        sample = self._pillars(augmented(points, self.config, generator))
        if len(sample.indices) < self.config.minimum:  # turned out of a range that looks one way
            sample = self._pillars(points)
        return sample

    def whole(self, index: int) -> PillarPoints:
        """A sweep as it is evaluated: not augmented, with all its pillars."""
        return self._pillars(self.sweeps.points(index), limit=False)

    def collate(self, samples: Sequence[PillarPoints]) -> PillarBatch:
        return pillar_batch(samples)

    def _pillars(self, points: Tensor, limit: bool = True) -> PillarPoints:
        most = self.config.max_voxels if limit else 0
        return pillarize(points[:, : self.features], self.grid, self.config.max_points, most)


def pillar_batch(samples: Sequence[PillarPoints]) -> PillarBatch:
    """Sweeps one after the other."""
    lengths = torch.tensor([len(sample.indices) for sample in samples])
    sweep = torch.arange(len(samples)).repeat_interleave(lengths)
    return PillarBatch(
        torch.cat([sample.points for sample in samples]),
        torch.cat([sample.counts for sample in samples]),
        torch.cat([sweep[:, None], torch.cat([sample.indices for sample in samples])], dim=1),
        torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]),
    )
