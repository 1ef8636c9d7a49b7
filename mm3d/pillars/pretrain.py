"""Pretraining of the systems on pillars of LiDAR sweeps: from a recipe to a run folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mm3d.config.pillars import GeoMAERecipe, HessVoxelMAERecipe
from mm3d.data.pillar_samples import PillarSamples
from mm3d.data.sweeps import describe_sweeps, find_sweeps, usable
from mm3d.models.geomae import GeoMAE
from mm3d.models.voxel_mae_hess import HessVoxelMAE
from mm3d.pillars.report import write_pillar_report

MODELS: dict[type, type[HessVoxelMAE] | type[GeoMAE]] = {HessVoxelMAERecipe: HessVoxelMAE, GeoMAERecipe: GeoMAE}


def pretrain_pillars(
    recipe: HessVoxelMAERecipe | GeoMAERecipe, out: str | Path, resume: bool = False, header: str = ""
) -> Outcome:
    """Train Voxel-MAE of Hess et al. or GeoMAE by its recipe and leave a run folder.

    Args:
        recipe: data, model, optimiser, length, devices.
        out: the run folder.
        resume: go on with the run in ``out``.
        header: first line of its config.yaml (the paper).

    Raises:
        UserError: bad data or settings, or a folder that holds another run.
    """
    folder, kind = RunFolder(out), MODELS[type(recipe)]

    def make(main: bool) -> Job:
        encoder = recipe.model.encoder
        sweeps = usable(find_sweeps(recipe.data, recipe.sweeps), recipe.sweeps, encoder.grid)
        samples = PillarSamples(sweeps, recipe.sweeps, encoder.grid, encoder.features)
        model = kind(recipe.model)  # type: ignore[arg-type]
        return Job(
            model,
            samples,
            masked_step(model),
            describe_sweeps(sweeps, recipe.data),
            counted=("pillars", lambda batch: len(batch.indices)),
        )

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    if outcome.wants_report(folder):
        data = outcome.job.data
        assert isinstance(data, PillarSamples)
        write_pillar_report(folder, kind.from_pretrained(folder.path), data)
    return outcome
