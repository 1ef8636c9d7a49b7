"""Labelled sweeps as training samples: augmented, cropped to the grid, with the class of every voxel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mm3d.config.voxels import SweepsConfig, VoxelEncoderConfig
from mm3d.data.labelled_sweeps import LabelledSweep
from mm3d.data.sweep_samples import augmented
from mm3d.models.voxel_mae import VoxelBatch
from mm3d.voxels.cells import majority, voxel_cells


class LabelledVoxels(NamedTuple):
    """Voxels of sweeps as a model takes them, and the class of each: (T,) int64, -1 for none."""

    voxels: VoxelBatch
    labels: Tensor


class LabelledSweepSamples:
    """Training samples of labelled sweeps; a :class:`~core.training.data.TrainingData`. A batch is LabelledVoxels.

    Args:
        sweeps: with a class for every point, -1 for points that are not trained on.
        config: augmentation and limits.
        encoder: where voxels are, and how many features they have.
    """

    def __init__(self, sweeps: Sequence[LabelledSweep], config: SweepsConfig, encoder: VoxelEncoderConfig) -> None:
        self.sweeps, self.config, self.encoder = sweeps, config, encoder

    def __len__(self) -> int:
        return len(self.sweeps)

    def sample(self, index: int, generator: torch.Generator) -> LabelledVoxels:
        """A sweep as one sample; as it is stored where it was turned out of a range that looks one way."""
        sweep = self.sweeps[index]
        points = torch.from_numpy(np.array(sweep.points))
        made = self._voxels(augmented(points, self.config, generator), sweep.labels)
        if len(made.labels) < self.config.minimum or not bool((made.labels >= 0).any()):
            made = self._voxels(points, sweep.labels)
        return made

    def collate(self, samples: Sequence[LabelledVoxels]) -> LabelledVoxels:
        counts = torch.tensor([0, *[len(sample.labels) for sample in samples]])
        scene = torch.arange(len(samples)).repeat_interleave(counts[1:])
        cells = torch.cat([sample.voxels.indices[:, 1:] for sample in samples])
        features = torch.cat([sample.voxels.features for sample in samples])
        voxels = VoxelBatch(features, torch.cat([scene[:, None], cells], dim=1), counts.cumsum(0))
        return LabelledVoxels(voxels, torch.cat([sample.labels for sample in samples]))

    def _voxels(self, points: Tensor, labels: np.ndarray) -> LabelledVoxels:
        return labelled_voxels(points, labels, self.config, self.encoder, self.config.max_voxels or None)[0]


def labelled_voxels(
    points: Tensor,
    labels: np.ndarray,
    config: SweepsConfig,
    encoder: VoxelEncoderConfig,
    max_voxels: int | None = None,
) -> tuple[LabelledVoxels, np.ndarray]:
    """One sweep's voxels as a batch of one, each with the class of most of its points; and the voxel of each point.

    Args:
        points: (N, 4).
        labels: (N,) int64, -1 for none.
        max_voxels: those whose points come first; all where none is given.
    """
    cells = voxel_cells(points, config, encoder, max_voxels)
    voxel_of = cells.cell_of.numpy()
    return LabelledVoxels(cells.batch, torch.from_numpy(majority(voxel_of, labels, len(cells.means)))), voxel_of
