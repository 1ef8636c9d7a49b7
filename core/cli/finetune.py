"""The `finetune` command of the domains whose fine-tuning is one function of a recipe."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.cli.recipes import find_recipe, parse_recipe
from core.errors import Interrupted, UserError
from core.reporting.tables import Table
from core.training.config import with_seed
from core.training.rank import is_main

Options = Mapping[str, tuple[Any, Any, str]]


def finetune_options(domain: str, recipe: str) -> Options:
    """The options beside those of the recipe: (type, default, help) by name.

    Args:
        recipe: the name of the recipe where none is given.
    """
    return {
        "recipe": (str, recipe, f"recipe of the task: a name of `{domain} list 'finetune*'`, or a file"),
        "out": (str, None, "folder for the runs, one a seed; RUN-RECIPE where none is given"),
        "resume": (bool, False, "go on with the runs that are in the folder"),
        "scratch": (bool, False, "take the network's sizes but not its weights: the control"),
        "seeds": (int, 1, "how many runs, with seeds train.seed, train.seed + 1, ..."),
    }


def finetune_command(
    domain: str, kind: type, options: Options, find: Callable[[], Callable[..., dict[str, float]]], words: list[str]
) -> None:
    """Parse a recipe with its overrides and fine-tune, once a seed; print mean and deviation.

    Args:
        domain: folder below ``configs/``, which is also the name of the console script.
        kind: dataclass of the recipe.
        options: of :func:`finetune_options`.
        find: imports and gives ``finetune(recipe, pretrained, out, resume, scratch) -> scores``.
        words: the run, and the remaining words of the command line.

    Raises:
        UserError: no recipe, unknown options, and what the training raises.
    """
    if not words or words[0].startswith("-"):
        if words[:1] not in (["-h"], ["--help"]):
            raise UserError(f"usage: {domain} finetune RUN [--recipe NAME] [--data ...] [--key value ...]")
        words = ["RUN", *words]
    name = next((b for a, b in itertools.pairwise(words) if a == "--recipe"), options["recipe"][1])
    name = next((w.split("=", 1)[1] for w in words if w.startswith("--recipe=")), name)
    recipe = find_recipe(domain, str(name))
    settings, given = parse_recipe(recipe, kind, f"{domain} finetune {words[0]}", words[1:], options)
    if given["seeds"] < 1:
        raise UserError(f"--seeds {given['seeds']}: expected at least 1")
    suffix = "-scratch" if given["scratch"] else ""
    out = Path(given["out"] or f"{words[0].rstrip('/')}-{recipe.name}{suffix}")
    try:
        _finetune(words[0], settings, given, out, find())
    except Interrupted as stopped:
        raise Interrupted(f"{stopped}. Go on with the same command and --resume") from stopped


def _finetune(run: str, settings: Any, given: dict, out: Path, finetune: Callable[..., dict[str, float]]) -> None:
    from core.evaluation.metrics import mean_std
    from core.training.pretrained import seed_folders

    folders = seed_folders(run)
    scores = []
    for number in range(given["seeds"]):
        seed = settings.train.seed + number
        seeded = with_seed(settings, seed)
        pretrained = folders[number % len(folders)]
        scores.append(finetune(seeded, pretrained, out / f"seed-{seed}", given["resume"], given["scratch"]))
    if not is_main():
        return
    rows = [(name, mean_std([score[name] for score in scores])) for name in scores[0]]
    print("the epoch was selected on validation data, the test part scored once")
    print(Table((f"{len(scores)} seed(s)", "mean and std"), rows).text())
