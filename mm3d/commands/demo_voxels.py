"""`mm3d demo --recipe voxel_mae`: a small Voxel-MAE on generated streets."""

from __future__ import annotations

import time
from pathlib import Path


def demo_voxels(base: Path, seed: int) -> None:
    """Pretrain, probe single voxels, and write one report; what an earlier demo left in ``base`` is continued."""
    from core.cli.recipes import build_recipe, find_recipe
    from core.reporting.tables import Table
    from core.training.run import RunFolder
    from mm3d.config.voxels import VoxelMAERecipe
    from mm3d.data.labelled_sweeps import labelled_sweeps
    from mm3d.data.sweep_samples import SweepSamples
    from mm3d.data.sweeps import find_sweeps
    from mm3d.models.voxel_mae import VoxelMAE
    from mm3d.voxels.cells import voxel_cells
    from mm3d.voxels.pretrain import pretrain_voxels
    from mm3d.voxels.probe import cell_set, probe_cells
    from mm3d.voxels.report import write_voxel_report

    begin = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - begin:4.0f} s] {what}", flush=True)

    recipe = build_recipe(find_recipe("mm3d", "demo_voxels"), VoxelMAERecipe)
    recipe.train.seed = seed
    say(
        "pretraining a small Voxel-MAE on generated streets, most voxels hidden: 90 % near the sensor, 50 % far from it"
    )
    outcome = pretrain_voxels(recipe, base / "pretrain", resume=True, header="demo")
    speed = f", {outcome.result.samples_per_second:.0f} sweeps/s" if outcome.result.steps_now else ", before"
    say(f"pretrained: {outcome.result.steps} steps{speed}")

    model = VoxelMAE.from_pretrained(base / "pretrain")
    sweeps, classes = labelled_sweeps("street", recipe.sweeps)
    found = cell_set(sweeps[::2], lambda points: voxel_cells(points, recipe.sweeps, model.config.encoder))
    rows = probe_cells(model, found, seeds=2)
    table = Table(("features of a voxel", "accuracy", "mean IoU"), rows)
    held = len(found.joined(True))
    say(f"probed {held:,} held-out voxels of {len(classes)} classes with frozen features\n{table.text()}")

    samples = SweepSamples(find_sweeps("street", recipe.sweeps), recipe.sweeps, model.config.encoder.grid)
    caption = (
        f"Logistic regression on frozen features; {held:,} voxels of sweeps that the probe did not see (pretraining saw "
        "them, without classes). Streets, sensor and classes are generated."
    )
    heading = "Did pretraining help? The class of a voxel"
    page = write_voxel_report(
        RunFolder(base / "pretrain"),
        model,
        samples,
        [(heading, table, caption)],
        title="a small one, on generated streets",
    )
    report, picture = base / "report.html", base / "reconstruction.png"
    page.replace(report)
    (base / "pretrain" / "reconstruction.png").replace(picture)
    say(f"done. Look at {report} and {picture}")
