"""`mm3d pretrain`."""

from __future__ import annotations

from pathlib import Path

from core.cli.recipes import find_recipe, kind_of, parse_recipe
from core.errors import Interrupted, UserError
from mm3d.config import PointMAERecipe

RECIPES = {"point_mae": PointMAERecipe}
OPTIONS = {
    "out": (str, None, "run folder; runs/RECIPE where none is given"),
    "resume": (bool, False, "go on with the run that is in the folder"),
}


def main(words: list[str]) -> None:
    """Parse a recipe with its overrides, train, and write the report."""
    if words[:1] in (["-h"], ["--help"]):
        words = ["point_mae", "--help"]
    if not words or words[0].startswith("-"):
        raise UserError("usage: mm3d pretrain RECIPE [--key value ...]; `mm3d list` shows the recipes")
    recipe = find_recipe("mm3d", words[0])
    settings, options = parse_recipe(recipe, kind_of(recipe, RECIPES), f"mm3d pretrain {words[0]}", words[1:], OPTIONS)
    out = Path(options["out"] or (words[0] if (Path(words[0]) / "config.yaml").is_file() else f"runs/{recipe.name}"))
    from mm3d.pretrain import pretrain

    try:
        outcome = pretrain(settings, out, options["resume"], recipe.paper)
    except Interrupted as stopped:
        raise Interrupted(f"{stopped}. Go on with: mm3d pretrain {out} --resume") from stopped
    if outcome.main:
        result = outcome.result
        skipped = len(outcome.job.said["data"]["skipped"])
        if skipped:
            print(f"{skipped} clouds could not be used and were left out; {out / 'environment.json'} lists them")
        done = f"{result.steps} steps, {result.samples_per_second:.1f} samples/s"
        if not result.steps_now:
            done = f"this run is finished, all {result.steps} steps were done already"
        print(f"{out}: {done}; look at {out / 'report.html'}")
