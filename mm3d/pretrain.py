"""Pretraining in 3D: from a recipe to a run folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mm3d.config import PointBERTRecipe, PointMAERecipe
from mm3d.config.pillars import GeoMAERecipe, HessVoxelMAERecipe
from mm3d.config.voxels import VoxelMAERecipe
from mm3d.data.clouds import PointClouds
from mm3d.data.samples import UnlabelledPoints
from mm3d.data.sources import load
from mm3d.data.usable import usable
from mm3d.models import load_model
from mm3d.models.point_bert import PointBERT
from mm3d.models.point_dvae import PointDVAE
from mm3d.models.point_mae import PointMAE
from mm3d.pillars.pretrain import pretrain_pillars
from mm3d.report import write_report
from mm3d.voxels.pretrain import pretrain_voxels

System = tuple[Any, Callable[[int], None] | None]
"""A model, and what is called after each of its steps."""


Recipe = PointMAERecipe | PointBERTRecipe | VoxelMAERecipe | HessVoxelMAERecipe | GeoMAERecipe


def pretrain(recipe: Recipe, out: str | Path, resume: bool = False, header: str = "") -> Outcome:
    """Train a system by its recipe and leave a run folder.

    Args:
        recipe: data, model, optimiser, length, devices.
        out: the run folder.
        resume: go on with the run in ``out``.
        header: first line of its config.yaml (the paper).

    Raises:
        UserError: bad data or settings, a tokenizer that is not there, or a folder that holds another run.
    """
    if isinstance(recipe, VoxelMAERecipe):  # sweeps are other data than clouds
        return pretrain_voxels(recipe, out, resume, header)
    if isinstance(recipe, HessVoxelMAERecipe | GeoMAERecipe):
        return pretrain_pillars(recipe, out, resume, header)
    if isinstance(recipe, PointBERTRecipe):
        recipe, tokenizer = with_tokenizer(recipe)
        return _pretrain(recipe, lambda: new_point_bert(recipe, tokenizer), out, resume, header)
    return _pretrain(recipe, lambda: (PointMAE(recipe.model), None), out, resume, header)


def _pretrain(
    recipe: PointMAERecipe | PointBERTRecipe, new: Callable[[], System], out: str | Path, resume: bool, header: str
) -> Outcome:
    folder = RunFolder(out)

    def make(main: bool) -> Job:
        encoder, on_error = recipe.model.encoder, recipe.points.on_error
        clouds = usable(load(recipe.data, "train", on_error), encoder.groups, encoder.group_size, on_error)
        model, after_step = new()
        said = describe_data(clouds, recipe.data)
        return Job(model, UnlabelledPoints(clouds, recipe.points), masked_step(model), said, after_step=after_step)

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    if outcome.wants_report(folder):
        data = outcome.job.data
        assert isinstance(data, UnlabelledPoints)
        write_report(folder, load_model(folder.path), data.clouds, recipe.points)
    return outcome


def with_tokenizer(recipe: PointBERTRecipe) -> tuple[PointBERTRecipe, PointDVAE]:
    """The recipe with the tokenizer's own configuration in it, and the tokenizer.

    Raises:
        UserError: no tokenizer is named, what is named holds none, or it cuts clouds into other patches than the encoder.
    """
    if not recipe.tokenizer:
        raise UserError(
            "tokenizer: none is named; expected the run folder of one. Train it with `mm3d tokenize point_dvae --data ... "
            "--out runs/dvae` and give --tokenizer runs/dvae"
        )
    tokenizer = PointDVAE.from_pretrained(recipe.tokenizer)
    try:
        model = dataclasses.replace(recipe.model, tokenizer=tokenizer.config)
        model.check_tokenizer()
    except ValueError as error:
        raise UserError(f"{recipe.tokenizer}: this tokenizer does not fit: model.{error}") from error
    return dataclasses.replace(recipe, model=model), tokenizer


def new_point_bert(recipe: PointBERTRecipe, tokenizer: PointDVAE) -> System:
    """A model that starts from a tokenizer."""
    model = PointBERT(recipe.model)
    model.start_from(tokenizer)
    return model, model.after_step


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
