"""A sweep cut into the cells that a model reads, as probes and fine-tuning on classes want it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mm3d.config.voxels import SweepsConfig, VoxelEncoderConfig
from mm3d.data.sweeps import in_grid
from mm3d.models.voxel_mae import VoxelBatch


class Cells(NamedTuple):
    """T cells of one sweep of N points.

    ``batch``: what the model takes, a batch of one sweep. ``cell_of``: (N,) int64 cell of each point, -1 for none. ``means``:
    (T, C) float32, of the points of each cell: x, y, z and further features.
    """

    batch: Any
    cell_of: Tensor
    means: Tensor


def voxel_cells(
    points: Tensor, config: SweepsConfig, encoder: VoxelEncoderConfig, max_voxels: int | None = None
) -> Cells:
    """The voxels of a sweep (N, 4); with ``max_voxels`` those whose points come first."""
    made = in_grid(points, config, encoder.grid, max_voxels)
    indices = torch.cat([torch.zeros(len(made.indices), 1, dtype=torch.int64), made.indices], dim=1)
    means = made.features[:, : encoder.features]
    return Cells(VoxelBatch(means, indices, torch.tensor([0, len(indices)])), made.voxel_of, means)


def majority(cell_of: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The class that most labelled points of each cell have, the lowest of several; -1 where none is labelled."""
    known = (cell_of >= 0) & (labels >= 0)
    votes = np.zeros((count, int(labels.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(votes, (cell_of[known], labels[known]), 1)
    return np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1)
