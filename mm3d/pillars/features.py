"""Models on pillars for files that the user has: features of whole sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from core.saving import describe, resolve
from mm3d.config.pillars import whole_sweeps
from mm3d.config.voxels import SweepsConfig
from mm3d.data.pillar_samples import PillarSamples
from mm3d.data.sweeps import Sweeps, find_sweeps, usable
from mm3d.layers.pillars import PillarBatch
from mm3d.models.geomae import GeoMAE
from mm3d.models.voxel_mae_hess import HessVoxelMAE
from mm3d.pillars.report import PillarModel
from mm3d.voxels.features import sweeps_config_of

PILLAR_MODELS = (HessVoxelMAE.__name__, GeoMAE.__name__)


def takes_pillars(source: str | Path) -> bool:
    """Whether a saved model is one on pillars of LiDAR sweeps.

    Raises:
        UserError: no model there.
    """
    return describe(resolve(source))["model"] in PILLAR_MODELS


def pillars_config_of(source: str | Path) -> SweepsConfig:
    """How the run that trained a model made samples of sweeps; all points of them for a model without a run."""
    return sweeps_config_of(source) if (resolve(source) / "config.yaml").exists() else whole_sweeps()


def samples_of(words: Sequence[str], model: PillarModel, config: SweepsConfig) -> PillarSamples:
    """The user's sweeps, those that can be used.

    Raises:
        UserError: words that name no sweep; one that cannot be used, or with ``on_error: skip`` none that can.
    """
    found = [find_sweeps(word, config) for word in words]
    names = tuple(name for part in found for name in part.names)
    readers = tuple(reader for part in found for reader in part.readers)
    encoder = model.config.encoder
    return PillarSamples(usable(Sweeps(names, readers), config, encoder.grid), config, encoder.grid, encoder.features)


@torch.no_grad()
def encode_sweeps(model: PillarModel, samples: PillarSamples, device: str = "cpu", batch_size: int = 4) -> np.ndarray:
    """Features of all sweeps in their order, none of them augmented: (M, F) float32."""
    found = []
    for start in range(0, len(samples), batch_size):
        some = range(start, min(start + batch_size, len(samples)))
        batch = samples.collate([samples.whole(index) for index in some])
        found.append(model.encode(PillarBatch(*(part.to(device) for part in batch))).float().cpu())
    return torch.cat(found).numpy()
