"""Pretraining on LiDAR sweeps: from a recipe to a run folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mm3d.config.voxels import VoxelMAERecipe
from mm3d.data.sweep_samples import SweepSamples
from mm3d.data.sweeps import describe_sweeps, find_sweeps, usable
from mm3d.models.voxel_mae import VoxelMAE
from mm3d.voxels.report import write_voxel_report


def pretrain_voxels(recipe: VoxelMAERecipe, out: str | Path, resume: bool = False, header: str = "") -> Outcome:
    """Train Voxel-MAE by its recipe and leave a run folder.

    Args:
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
        samples = SweepSamples(sweeps, recipe.sweeps, encoder.grid, encoder.features)
        model = VoxelMAE(recipe.model)
        counted = ("voxels", lambda batch: len(batch.indices))
        return Job(model, samples, masked_step(model), describe_sweeps(sweeps, recipe.data), counted=counted)

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    if outcome.wants_report(folder):
        data = outcome.job.data
        assert isinstance(data, SweepSamples)
        write_voxel_report(folder, VoxelMAE.from_pretrained(folder.path), data)
    return outcome
