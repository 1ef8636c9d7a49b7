"""Models on pillars for files that the user has: features of whole sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.saving import describe, resolve
from mm3d.config.pillars import whole_sweeps
from mm3d.config.voxels import SweepsConfig
from mm3d.data.pillar_samples import PillarSamples
from mm3d.data.sweeps import sweeps_of_files
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
    encoder = model.config.encoder
    return PillarSamples(sweeps_of_files(words, config, encoder.grid), config, encoder.grid, encoder.features)
