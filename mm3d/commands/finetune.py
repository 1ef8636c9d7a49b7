"""`mm3d finetune`."""

from __future__ import annotations

import itertools
from pathlib import Path

from core.cli.recipes import find_recipe, parse_recipe
from core.errors import Interrupted, UserError
from core.reporting.tables import Table
from core.training.config import with_seed
from core.training.rank import is_main
from mm3d.config import FinetuneRecipe

OPTIONS = {
    "recipe": (str, "finetune", "recipe of the task: a name of `mm3d list 'finetune*'`, or a file"),
    "out": (str, None, "folder for the runs, one a seed; RUN-RECIPE where none is given"),
    "resume": (bool, False, "go on with the runs that are in the folder"),
    "scratch": (bool, False, "take the network's sizes but not its weights: the control"),
    "seeds": (int, 1, "how many runs, with seeds train.seed, train.seed + 1, ..."),
    "ways": (int, 0, "few-shot: classes an episode; 0 fine-tunes on the whole train split"),
    "shots": (int, 10, "few-shot: training samples a class"),
    "queries": (int, 20, "few-shot: test samples a class"),
    "episodes": (int, 10, "few-shot: episodes"),
}


def main(words: list[str]) -> None:
    """Fine-tune on classification, segmentation or few-shot episodes; mean and std over seeds or episodes."""
    if not words or words[0].startswith("-"):
        if words[:1] not in (["-h"], ["--help"]):
            raise UserError("usage: mm3d finetune RUN [--recipe NAME] [--data ...] [--key value ...]")
        words = ["RUN", *words]
    from mm3d.voxels.features import takes_sweeps

    if Path(words[0]).is_dir() and takes_sweeps(words[0]):
        from core.cli.options import call
        from mm3d.commands.voxels import finetune_sweeps

        return call(finetune_sweeps, "mm3d finetune", words)
    name = next((b for a, b in itertools.pairwise(words) if a == "--recipe"), "finetune")
    name = next((w.split("=", 1)[1] for w in words if w.startswith("--recipe=")), name)
    recipe = find_recipe("mm3d", name)
    settings, options = parse_recipe(recipe, FinetuneRecipe, f"mm3d finetune {words[0]}", words[1:], OPTIONS)
    for key, least in (("seeds", 1), ("ways", 0), ("shots", 1), ("queries", 1), ("episodes", 1)):
        if options[key] < least:
            raise UserError(f"--{key} {options[key]}: expected at least {least}")
    out = Path(options["out"] or _folder(words[0], recipe.name, options))
    try:
        _finetune(words[0], settings, options, out)
    except Interrupted as stopped:
        raise Interrupted(f"{stopped}. Go on with the same command and --resume") from stopped


def _folder(run: str, recipe: str, options: dict) -> str:
    protocol = f"-{options['ways']}way-{options['shots']}shot" if options["ways"] else ""
    return f"{run.rstrip('/')}-{recipe}{protocol}{'-scratch' if options['scratch'] else ''}"


def _finetune(run: str, settings: FinetuneRecipe, options: dict, out: Path) -> None:

    from core.evaluation.metrics import mean_std
    from mm3d.few_shot import few_shot
    from mm3d.finetune import finetune

    if options["ways"]:
        sizes = (options["ways"], options["shots"], options["queries"], options["episodes"])
        accuracy = few_shot(settings, run, out, *sizes, options["scratch"], options["resume"])
        if not is_main():
            return
        title = f"{options['ways']}-way {options['shots']}-shot, {len(accuracy)} episodes"
        print(Table((title, "mean and std"), [("accuracy", mean_std(accuracy))]).text())
        return
    scores = []
    for seed in range(settings.train.seed, settings.train.seed + options["seeds"]):
        seeded = with_seed(settings, seed)
        scores.append(finetune(seeded, run, out / f"seed-{seed}", options["resume"], options["scratch"]))
    if not is_main():
        return
    left_out = int(max(score.pop("test_clouds_left_out", 0) for score in scores))
    rows = [(name, mean_std([score[name] for score in scores])) for name in scores[0]]
    print(f"{settings.data}: the epoch was selected on validation data, the test split scored once")
    if left_out:
        print(f"{left_out} test clouds could not be used and are not counted")
    print(Table((f"{settings.task}, {len(scores)} seed(s)", "mean and std"), rows).text())
