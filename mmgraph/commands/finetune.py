"""`mmgraph finetune`."""

from __future__ import annotations

import itertools
from pathlib import Path

from core.cli.recipes import find_recipe, parse_recipe
from core.errors import Interrupted, UserError
from core.reporting.tables import Table
from core.training.config import with_seed
from core.training.rank import is_main
from mmgraph.config import GraphFinetuneRecipe as FinetuneRecipe

OPTIONS = {
    "recipe": (str, "finetune_nodes", "recipe of the task: a name of `mmgraph list 'finetune*'`, or a file"),
    "out": (str, None, "folder for the runs, one a seed; RUN-RECIPE where none is given"),
    "resume": (bool, False, "go on with the runs that are in the folder"),
    "scratch": (bool, False, "take the network's sizes but not its weights: the control"),
    "seeds": (int, 1, "how many runs, with seeds train.seed, train.seed + 1, ..."),
}


def main(words: list[str]) -> None:
    """Fine-tune on classes of nodes or graphs; mean and std over seeds."""
    if not words or words[0].startswith("-"):
        if words[:1] not in (["-h"], ["--help"]):
            raise UserError("usage: mmgraph finetune RUN [--recipe NAME] [--data ...] [--key value ...]")
        words = ["RUN", *words]
    name = next((b for a, b in itertools.pairwise(words) if a == "--recipe"), OPTIONS["recipe"][1])
    name = next((w.split("=", 1)[1] for w in words if w.startswith("--recipe=")), name)
    recipe = find_recipe("mmgraph", str(name))
    settings, options = parse_recipe(recipe, FinetuneRecipe, f"mmgraph finetune {words[0]}", words[1:], OPTIONS)
    if options["seeds"] < 1:
        raise UserError(f"--seeds {options['seeds']}: expected at least 1")
    suffix = "-scratch" if options["scratch"] else ""
    out = Path(options["out"] or f"{words[0].rstrip('/')}-{recipe.name}{suffix}")
    try:
        _finetune(words[0], settings, options, out)
    except Interrupted as stopped:
        raise Interrupted(f"{stopped}. Go on with the same command and --resume") from stopped


def _finetune(run: str, settings: FinetuneRecipe, options: dict, out: Path) -> None:
    from core.evaluation.metrics import mean_std
    from core.training.pretrained import seed_folders
    from mmgraph.finetune import finetune

    folders = seed_folders(run)
    scores = []
    for number in range(options["seeds"]):
        seed = settings.train.seed + number
        seeded = with_seed(settings, seed)
        pretrained = folders[number % len(folders)]
        scores.append(finetune(seeded, pretrained, out / f"seed-{seed}", options["resume"], options["scratch"]))
    if not is_main():
        return
    rows = [(name, mean_std([score[name] for score in scores])) for name in scores[0]]
    print("the epoch was selected on validation data, the test part scored once")
    print(Table((f"classes of {settings.task}, {len(scores)} seed(s)", "mean and std"), rows).text())
