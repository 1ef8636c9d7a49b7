"""Models on sweeps for files that the user has: features of whole sweeps and of single voxels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.config import from_dict
from core.saving import describe, resolve
from core.training.run import RunFolder
from mm3d.config.voxels import SweepsConfig
from mm3d.data.sweep_samples import SweepSamples
from mm3d.data.sweeps import sweeps_of_files
from mm3d.models.voxel_mae import VoxelMAE
from mm3d.models.voxel_segmenter import VoxelSegmenter

SWEEP_MODELS = (VoxelMAE.__name__, VoxelSegmenter.__name__)


def takes_sweeps(source: str | Path) -> bool:
    """Whether a saved model is one on LiDAR sweeps, not on clouds of shapes.

    Raises:
        UserError: no model there.
    """
    return describe(resolve(source))["model"] in SWEEP_MODELS


def sweeps_config_of(source: str | Path) -> SweepsConfig:
    """How the run that trained a model made samples of sweeps; the defaults for a model without a run."""
    folder = RunFolder(resolve(source))
    if not (folder.path / "config.yaml").exists():
        return SweepsConfig()
    return from_dict(SweepsConfig, folder.config().get("sweeps", {}), str(folder.path / "config.yaml"))


def samples_of(words: Sequence[str], model: VoxelMAE | VoxelSegmenter, config: SweepsConfig) -> SweepSamples:
    """The user's sweeps, those that can be used.

    Raises:
        UserError: words that name no sweep; one that cannot be used, or with ``on_error: skip`` none that can.
    """
    encoder = model.config.encoder
    return SweepSamples(sweeps_of_files(words, config, encoder.grid), config, encoder.grid, encoder.features)


@torch.no_grad()
def encode_sweeps(model: Any, samples: Any, device: str = "cpu", batch_size: int = 4) -> np.ndarray:
    """Features of all sweeps in their order, none of them augmented: (M, F) float32; of a model on voxels or on pillars."""
    found = []
    for start in range(0, len(samples), batch_size):
        some = range(start, min(start + batch_size, len(samples)))
        batch = samples.collate([samples.whole(index) for index in some])
        found.append(model.encode(on_device(batch, device)).float().cpu())
    return torch.cat(found).numpy()


def on_device(batch: Any, device: str) -> Any:
    """A batch of voxels or pillars, a named tuple of tensors, on a device."""
    return type(batch)(*(part.to(device) for part in batch))
