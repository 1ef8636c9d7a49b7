"""`mmgraph demo`: all of it, small, on built-in data."""

from __future__ import annotations

import time
from pathlib import Path

from core.errors import Interrupted, UserError

METHODS = ("linear", "svm", "knn")


def demo(out: str = "runs/demo_graphs", seed: int = 0, seeds: int = 3) -> None:
    """Pretrain a small GraphMAE on handwritten digits as a graph, probe it, fine-tune it, and write one report.

    Args:
        out: folder for everything it makes; what an earlier demo left there is continued.
        seed: the first seed of weights, order and masks.
        seeds: how many pretrainings and fine-tunings.
    """
    if seed < 0:
        raise UserError(f"--seed {seed}: expected at least 0")
    if seeds < 1:
        raise UserError(f"--seeds {seeds}: expected at least 1")
    try:
        _demo(Path(out), range(seed, seed + seeds))
    except Interrupted as stopped:
        raise Interrupted(f"{stopped}. Go on with: mmgraph demo --out {out} --seed {seed} --seeds {seeds}") from stopped


def _demo(base: Path, seeds: range) -> None:
    from core.cli.recipes import build_recipe, find_recipe
    from core.evaluation.metrics import mean_std
    from core.reporting.tables import Table
    from core.training.config import with_seed
    from core.training.run import RunFolder
    from mmgraph.config import GraphFinetuneRecipe, GraphMAERecipe
    from mmgraph.data.sets import NodeSet
    from mmgraph.data.sources import load
    from mmgraph.finetune import finetune
    from mmgraph.models import load_model
    from mmgraph.pretrain import pretrain
    from mmgraph.probing import probe_rows, probe_table
    from mmgraph.report import write_report
    from mmgraph.runs import ProbeConfig

    begin = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - begin:4.0f} s] {what}", flush=True)

    recipe = build_recipe(find_recipe("mmgraph", "demo"), GraphMAERecipe)
    task = build_recipe(find_recipe("mmgraph", "demo_finetune"), GraphFinetuneRecipe)
    data = load(recipe.data)
    assert isinstance(data, NodeSet)
    say(
        f"pretraining a small GraphMAE with {len(seeds)} seeds on {len(data.graph.x):,} handwritten digits, each joined "
        f"to those that look alike; {recipe.model.mask_ratio:.0%} of the digits are hidden"
    )
    runs = [base / f"pretrain/seed-{seed}" for seed in seeds]
    for seed, run in zip(seeds, runs, strict=True):
        seeded = with_seed(recipe, seed)
        result = pretrain(seeded, run, resume=True, header="demo").result
        say(f"pretrained{'' if result.steps_now else ' before'}: seed {seed}, {result.steps} steps")

    models = [load_model(run) for run in runs]
    probes = probe_table(probe_rows(models, data, ProbeConfig(recipe.probe_nodes), methods=METHODS))
    say(
        f"probed frozen embeddings: {len(data.train)} digits have labels, {len(data.test):,} are scored\n{probes.text()}"
    )

    rows = []
    for name, scratch in (("pretrained", False), ("from scratch", True)):
        scores = []
        for seed, run in zip(seeds, runs, strict=True):
            seeded = with_seed(task, seed)
            folder = base / f"finetune-{'scratch' if scratch else 'pretrained'}/seed-{seed}"
            scores.append(finetune(seeded, run, folder, resume=True, scratch=scratch))
        rows.append((name, *(mean_std([score[key] for score in scores]) for key in ("accuracy", "validation"))))
    tuned = Table(("fine-tuned", "test accuracy", "validation accuracy"), rows)
    say(f"fine-tuned on the same labels\n{tuned.text()}")

    over = f"Mean and std over {len(seeds)} seed(s)"
    page = write_report(
        RunFolder(runs[0]),
        models[0],
        data,
        ProbeConfig(recipe.probe_nodes, recipe.probe_graphs),
        tables=[
            (
                "Did pretraining help? Frozen embeddings",
                probes,
                f"Test accuracy with {len(data.train)} labels. {over} of weights and masks; untrained is the same network "
                "with fresh weights. The graph joins digits of similar pixels, so that an untrained network gains by it too.",
            ),
            ("Did pretraining help? Fine-tuning", tuned, f"{over}; the epoch is selected on validation data."),
        ],
        title="a small one, on handwritten digits",
    )
    report = base / "report.html"
    report.write_bytes(page.read_bytes())
    say(f"done. Look at {report} and {runs[0] / 'embedding.png'}")
