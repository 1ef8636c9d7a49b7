"""`mm3d finetune`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from core.cli.finetune import finetune_command, finetune_options
from core.cli.recipes import Recipe, find_recipe, parse_recipe
from core.errors import Interrupted, UserError
from core.reporting.tables import Table
from core.training.config import with_seed
from core.training.rank import is_main
from mm3d.config import FinetuneRecipe, SweepFinetuneRecipe

CLOUDS, SWEEPS = "finetune", "finetune_voxels"
"""The recipes where none is given, by what the model is on."""

OPTIONS = {
    **finetune_options("mm3d", CLOUDS),
    "ways": (int, 0, "few-shot: classes an episode; 0 fine-tunes on the whole train split"),
    "shots": (int, 10, "few-shot: training samples a class"),
    "queries": (int, 20, "few-shot: test samples a class"),
    "episodes": (int, 10, "few-shot: episodes"),
}

SWEEP_OPTIONS = finetune_options("mm3d", SWEEPS)


def main(words: list[str]) -> None:
    """Fine-tune on classification, segmentation, few-shot episodes or classes of voxels; mean and std over seeds or episodes."""
    if not words or words[0].startswith("-"):
        if words[:1] not in (["-h"], ["--help"]):
            raise UserError("usage: mm3d finetune RUN [--recipe NAME] [--data ...] [--key value ...]")
        words = ["RUN", *words]
    name = next((b for a, b in itertools.pairwise(words) if a == "--recipe"), None)
    name = next((w.split("=", 1)[1] for w in words if w.startswith("--recipe=")), name)
    on_sweeps = _on_sweeps(words[0])
    recipe = find_recipe("mm3d", name or (SWEEPS if on_sweeps else CLOUDS))
    if recipe_kind(recipe) is SweepFinetuneRecipe:
        return finetune_command("mm3d", SweepFinetuneRecipe, SWEEP_OPTIONS, _find_sweeps, words)
    if on_sweeps:
        raise UserError(
            f"{words[0]}: a model on LiDAR sweeps; recipe {recipe.name} is for clouds, expected task: voxels"
        )
    settings, options = parse_recipe(recipe, FinetuneRecipe, f"mm3d finetune {words[0]}", words[1:], OPTIONS)
    for key, least in (("seeds", 1), ("ways", 0), ("shots", 1), ("queries", 1), ("episodes", 1)):
        if options[key] < least:
            raise UserError(f"--{key} {options[key]}: expected at least {least}")
    out = Path(options["out"] or _folder(words[0], recipe.name, options))
    try:
        _finetune(words[0], settings, options, out)
    except Interrupted as stopped:
        raise Interrupted(f"{stopped}. Go on with the same command and --resume") from stopped


def recipe_kind(recipe: Recipe) -> type:
    """The dataclass of a fine-tuning recipe, by its task: on voxels of sweeps, or on clouds."""
    return SweepFinetuneRecipe if recipe.values.get("task") == "voxels" else FinetuneRecipe


def _on_sweeps(run: str) -> bool:
    """Whether a folder here, or the first of its seeds, holds a model on sweeps."""
    if not Path(run).is_dir():
        return False
    from core.training.pretrained import seed_folders
    from mm3d.voxels.features import takes_sweeps

    return takes_sweeps(seed_folders(run)[0])


def _find_sweeps() -> Callable[..., dict[str, float]]:
    from mm3d.voxels.finetune import finetune_sweeps

    return finetune_sweeps


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
