"""Pretraining of the systems on pillars of LiDAR sweeps: from a recipe to a run folder."""

from __future__ import annotations

from pathlib import Path

from core.training.job import Outcome
from mm3d.config.pillars import GeoMAERecipe, HessVoxelMAERecipe
from mm3d.data.pillar_samples import PillarSamples
from mm3d.models.geomae import GeoMAE
from mm3d.models.voxel_mae_hess import HessVoxelMAE
from mm3d.pillars.report import write_pillar_report
from mm3d.voxels.pretrain import SweepSystem, pretrain_sweeps

MODELS: dict[type, type[HessVoxelMAE] | type[GeoMAE]] = {HessVoxelMAERecipe: HessVoxelMAE, GeoMAERecipe: GeoMAE}


def pretrain_pillars(
    recipe: HessVoxelMAERecipe | GeoMAERecipe, out: str | Path, resume: bool = False, header: str = ""
) -> Outcome:
    """Train Voxel-MAE of Hess et al. or GeoMAE by its recipe and leave a run folder.

    Arguments as :func:`~mm3d.voxels.pretrain.pretrain_sweeps`.
    """
    system = SweepSystem(MODELS[type(recipe)], PillarSamples, "pillars", write_pillar_report)
    return pretrain_sweeps(system, recipe, out, resume, header)
