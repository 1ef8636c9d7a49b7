"""Pretraining on LiDAR sweeps: from a recipe to a run folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mm3d.config.voxels import VoxelMAERecipe
from mm3d.data.sweep_samples import SweepSamples
from mm3d.data.sweeps import describe_sweeps, find_sweeps, usable
from mm3d.models.voxel_mae import VoxelMAE
from mm3d.voxels.report import write_voxel_report


class SweepSystem(NamedTuple):
    """What differs between systems on sweeps.

    ``model`` is made from the recipe's model. ``samples`` from sweeps, ``recipe.sweeps``, grid and features. ``unit``: what its
    batches have a row of ``indices`` for. ``report``: of a run folder, model and samples.
    """

    model: Any
    samples: Callable[..., Any]
    unit: str
    report: Callable[[RunFolder, Any, Any], Any]


def pretrain_voxels(recipe: VoxelMAERecipe, out: str | Path, resume: bool = False, header: str = "") -> Outcome:
    """Train Voxel-MAE of Min et al. by its recipe and leave a run folder; arguments as :func:`pretrain_sweeps`."""
    system = SweepSystem(VoxelMAE, SweepSamples, "voxels", write_voxel_report)
    return pretrain_sweeps(system, recipe, out, resume, header)


def pretrain_sweeps(system: SweepSystem, recipe: Any, out: str | Path, resume: bool, header: str) -> Outcome:
    """Train a system on sweeps by its recipe and leave a run folder.

    Args:
        system: model, samples and report.
        recipe: data, model, optimiser, length, devices.
        out: the run folder.
        resume: go on with the run in ``out``.
        header: first line of its config.yaml (the paper).

    Raises:
        UserError: bad data or settings, or a folder that holds another run.
    """
    folder = RunFolder(out)

    def make(main: bool) -> Job:
        encoder = recipe.model.encoder
        sweeps = usable(find_sweeps(recipe.data, recipe.sweeps), recipe.sweeps, encoder.grid)
        samples = system.samples(sweeps, recipe.sweeps, encoder.grid, encoder.features)
        model = system.model(recipe.model)
        counted = (system.unit, lambda batch: len(batch.indices))
        return Job(model, samples, masked_step(model), describe_sweeps(sweeps, recipe.data), counted=counted)

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    if outcome.wants_report(folder):
        system.report(folder, system.model.from_pretrained(folder.path), outcome.job.data)
    return outcome
