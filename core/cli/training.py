"""The `pretrain` and `tokenize` commands: training that is one function of a recipe."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.cli.recipes import find_recipe, kind_of, parse_recipe
from core.errors import Interrupted, UserError
from core.training.config import with_seed

OPTIONS = {
    "out": (str, None, "run folder; runs/RECIPE where none is given"),
    "resume": (bool, False, "go on with the run that is in the folder"),
    "seeds": (int, 1, "how many runs, with seeds from train.seed on, in OUT/seed-N where there are several"),
}


VERBS = {"pretrain": "pretrained", "tokenize": "trained as a tokenizer"}
"""Commands, and what is done to the systems of their recipes."""


def training_command(
    domain: str,
    verb: str,
    example: str,
    kinds: Mapping[str, type],
    find: Callable[[], Callable[..., Any]],
    words: list[str],
) -> None:
    """Parse a recipe with its overrides and train, once a seed.

    Args:
        domain: folder below ``configs/``, which is also the name of the console script.
        verb: the command, one of :data:`VERBS`.
        example: the recipe whose options ``--help`` shows.
        kinds: dataclasses by the names of the systems.
        find: imports and gives ``train(recipe, out, resume, header) -> Outcome``; called when all words are right.
        words: remaining words of the command line.

    Raises:
        UserError: no recipe, unknown options, and what the training raises.
    """
    if words[:1] in (["-h"], ["--help"]):
        words = [example, "--help"]
    if not words or words[0].startswith("-"):
        raise UserError(f"usage: {domain} {verb} RECIPE [--key value ...]; `{domain} list` shows the recipes")
    recipe = find_recipe(domain, words[0])
    kind = kind_of(recipe, kinds, VERBS[verb])
    settings, options = parse_recipe(recipe, kind, f"{domain} {verb} {words[0]}", words[1:], OPTIONS)
    out = Path(options["out"] or (words[0] if (Path(words[0]) / "config.yaml").is_file() else f"runs/{recipe.name}"))
    if options["seeds"] < 1:
        raise UserError(f"--seeds {options['seeds']}: expected at least 1")
    train = find()
    for number in range(options["seeds"]):
        seed = settings.train.seed + number
        run = out / f"seed-{seed}" if options["seeds"] > 1 else out
        try:
            outcome = train(with_seed(settings, seed), run, options["resume"], recipe.paper)
        except Interrupted as stopped:  # of several seeds only the same words go on with all
            same = [str(out)] if options["seeds"] == 1 else [word for word in words if word != "--resume"]
            raise Interrupted(f"{stopped}. Go on with: {domain} {verb} {shlex.join(same)} --resume") from stopped
        if outcome.main:
            result = outcome.result
            skipped = len(outcome.job.said["data"].get("skipped", ()))
            if skipped:
                print(f"{skipped} samples could not be used and were left out; {run / 'environment.json'} lists them")
            done = f"{result.steps} steps, {result.seconds:.0f} s, {result.speed}"
            if not result.steps_now:
                done = f"this run is finished, all {result.steps} steps were done already"
            print(f"{run}: {done}; look at {run / 'report.html'}", flush=True)
