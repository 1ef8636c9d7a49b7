"""`mmgraph pretrain`."""

from __future__ import annotations

from pathlib import Path

from core.cli.recipes import find_recipe, kind_of, parse_recipe
from core.errors import Interrupted, UserError
from mmgraph.config import RECIPES

OPTIONS = {
    "out": (str, None, "run folder; runs/RECIPE where none is given"),
    "resume": (bool, False, "go on with the run that is in the folder"),
    "seeds": (int, 1, "how many runs, with seeds from train.seed on, in OUT/seed-N where there are several"),
}


def main(words: list[str]) -> None:
    """Parse a recipe with its overrides and train."""
    import dataclasses

    if words[:1] in (["-h"], ["--help"]):
        words = ["graphmae_cora", "--help"]
    if not words or words[0].startswith("-"):
        raise UserError("usage: mmgraph pretrain RECIPE [--key value ...]; `mmgraph list` shows the recipes")
    recipe = find_recipe("mmgraph", words[0])
    settings, options = parse_recipe(
        recipe, kind_of(recipe, RECIPES), f"mmgraph pretrain {words[0]}", words[1:], OPTIONS
    )
    out = Path(options["out"] or (words[0] if (Path(words[0]) / "config.yaml").is_file() else f"runs/{recipe.name}"))
    if options["seeds"] < 1:
        raise UserError(f"--seeds {options['seeds']}: expected at least 1")
    from mmgraph.pretrain import pretrain

    for number in range(options["seeds"]):
        run = out / f"seed-{settings.train.seed + number}" if options["seeds"] > 1 else out
        seeded = dataclasses.replace(
            settings, train=dataclasses.replace(settings.train, seed=settings.train.seed + number)
        )
        try:
            outcome = pretrain(seeded, run, options["resume"], recipe.paper)
        except Interrupted as stopped:
            again = f"{out if options['seeds'] == 1 else words[0]} --resume"
            if options["seeds"] > 1:
                again = f"{' '.join(word for word in words if word != '--resume')} --resume"
            raise Interrupted(f"{stopped}. Go on with: mmgraph pretrain {again}") from stopped
        if outcome.main:
            result = outcome.result
            done = f"{result.steps} steps, {result.seconds:.0f} s"
            if not result.steps_now:
                done = f"this run is finished, all {result.steps} steps were done already"
            print(f"{run}: {done}; look at {run / 'report.html'}", flush=True)
