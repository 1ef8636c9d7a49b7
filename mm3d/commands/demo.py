"""`mm3d demo`: all of it, small, on built-in data."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from core.errors import Interrupted, UserError


def demo(out: str = "runs/demo", seed: int = 0, recipe: Literal["point_mae", "voxel_mae"] = "point_mae") -> None:
    """Pretrain a small Point-MAE on built-in furniture, probe it, fine-tune it, reconstruct, and write one report.

    With --recipe voxel_mae: a small Voxel-MAE on generated LiDAR sweeps, and what its features say of voxels.

    Args:
        out: folder for everything it makes; what an earlier demo left there is continued.
        seed: of weights, order, masks and splits.
        recipe: the system.
    """
    if seed < 0:
        raise UserError(f"--seed {seed}: expected at least 0")
    try:
        if recipe == "voxel_mae":
            from mm3d.commands.demo_voxels import demo_voxels

            demo_voxels(Path(out) / recipe, seed)
        else:
            _demo(Path(out), seed)
    except Interrupted as stopped:
        other = "" if recipe == "point_mae" else f" --recipe {recipe}"
        raise Interrupted(f"{stopped}. Go on with: mm3d demo --out {out} --seed {seed}{other}") from stopped


def _demo(base: Path, seed: int) -> None:
    from core.cli.recipes import build_recipe, find_recipe
    from core.evaluation.metrics import mean_std
    from core.reporting.embedding import plot_embedding
    from core.reporting.tables import Table
    from core.training.run import RunFolder
    from mm3d.config import FinetuneRecipe, PointMAERecipe
    from mm3d.data.sources import load
    from mm3d.features import encode_clouds, probe_model
    from mm3d.finetune import finetune
    from mm3d.models.point_mae import PointMAE
    from mm3d.pretrain import pretrain
    from mm3d.report import write_report

    begin = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - begin:4.0f} s] {what}", flush=True)

    recipe = build_recipe(find_recipe("mm3d", "demo"), PointMAERecipe)
    recipe.train.seed = seed
    say("pretraining a small Point-MAE on 1,024 points of each furniture shape, three fifths of the patches hidden")
    outcome = pretrain(recipe, base / "pretrain", resume=True, header="demo")
    if outcome.result.steps_now:
        say(f"pretrained: {outcome.result.steps} steps, {outcome.result.samples_per_second:.0f} clouds/s")
    else:
        say(f"pretrained before: {outcome.result.steps} steps")

    probes = probe_model(base / "pretrain", "furniture", ("linear_svm", "knn"), seeds=5)
    probe_table = Table(("features", "probe", "accuracy", "chosen"), probes.rows())
    say(f"probed {probes.test_size} test shapes with frozen features\n{probe_table.text()}")

    task = build_recipe(find_recipe("mm3d", "demo_finetune"), FinetuneRecipe)
    rows = []
    for name, scratch in (("pretrained", False), ("from scratch", True)):
        scores = []
        for number in range(2):
            task.train.seed = seed + number
            run = base / f"finetune-{'scratch' if scratch else 'pretrained'}-{number}"
            scores.append(finetune(task, base / "pretrain", run, resume=True, scratch=scratch))
        rows.append((name, mean_std([s["accuracy"] for s in scores]), mean_std([s["validation"] for s in scores])))
    finetune_table = Table(("fine-tuned", "test accuracy", "validation accuracy"), rows)
    say(f"fine-tuned with 2 seeds each\n{finetune_table.text()}")

    model = PointMAE.from_pretrained(base / "pretrain")
    test = load("furniture", "test")
    features = encode_clouds(model.encode, test, recipe.points)
    plane = plot_embedding(features, test.labels, test.classes, base / "pretrain" / "embedding.png", seed)
    page = write_report(
        RunFolder(base / "pretrain"),
        model,
        test,
        recipe.points,
        title="a small one, on furniture",
        tables=[
            (
                "Did pretraining help? Frozen features",
                probe_table,
                "Mean and std over 5 seeds of the probe's validation split.",
            ),
            (
                "Did pretraining help? Fine-tuning",
                finetune_table,
                "Mean and std over 2 seeds; the epoch is selected on validation data.",
            ),
        ],
        pictures=[
            (
                "Features of the test shapes",
                plane,
                "Each point is a shape, coloured by class; the network was never told the classes.",
            )
        ],
    )
    report = base / "report.html"
    page.replace(report)
    picture = base / "reconstruction.png"
    (base / "pretrain" / "reconstruction.png").replace(picture)
    say(f"done. Look at {report} and {picture}")
