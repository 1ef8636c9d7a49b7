"""Pretraining in 3D: from a recipe to a run folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mm3d.config import PointMAERecipe
from mm3d.config_pillars import GeoMAERecipe, HessVoxelMAERecipe
from mm3d.config_voxels import VoxelMAERecipe
from mm3d.data.clouds import PointClouds
from mm3d.data.samples import UnlabelledPoints
from mm3d.data.sources import load
from mm3d.data.usable import usable
from mm3d.models.point_mae import PointMAE
from mm3d.pretrain_pillars import pretrain_pillars
from mm3d.pretrain_voxels import pretrain_voxels
from mm3d.report import write_report


def pretrain(
    recipe: PointMAERecipe | VoxelMAERecipe | HessVoxelMAERecipe | GeoMAERecipe,
    out: str | Path,
    resume: bool = False,
    header: str = "",
) -> Outcome:
    """Train a system by its recipe and leave a run folder.

    Args:
        recipe: data, model, optimiser, length, devices.
        out: the run folder.
        resume: go on with the run in ``out``.
        header: first line of its config.yaml (the paper).

    Raises:
        UserError: bad data or settings, or a folder that holds another run.
    """
    if isinstance(recipe, VoxelMAERecipe):  # sweeps are other data than clouds
        return pretrain_voxels(recipe, out, resume, header)
    if isinstance(recipe, HessVoxelMAERecipe | GeoMAERecipe):
        return pretrain_pillars(recipe, out, resume, header)
    folder = RunFolder(out)

    def make(main: bool) -> Job:
        encoder, on_error = recipe.model.encoder, recipe.points.on_error
        clouds = usable(load(recipe.data, "train", on_error), encoder.groups, encoder.group_size, on_error)
        model = PointMAE(recipe.model)
        return Job(
            model, UnlabelledPoints(clouds, recipe.points), masked_step(model), describe_data(clouds, recipe.data)
        )

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    finished_before = outcome.result.steps_now == 0 and (folder.path / "report.html").exists()
    if outcome.main and not finished_before:
        data = outcome.job.data
        assert isinstance(data, UnlabelledPoints)
        write_report(folder, PointMAE.from_pretrained(folder.path), data.clouds, recipe.points)
    return outcome


def describe_data(clouds: PointClouds, source: str) -> dict[str, Any]:
    """What a run folder says of its data."""
    return {"data": {
        "source": source,
        "clouds": len(clouds),
        "fingerprint": clouds.fingerprint(),
        "skipped": listed(clouds),
    }}  # fmt: skip


def listed(clouds: PointClouds) -> list[str]:
    """What could not be used, with the reasons."""
    return [f"{item}: {reason}" for item, reason in clouds.skipped]
