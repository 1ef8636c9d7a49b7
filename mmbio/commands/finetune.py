"""`mmbio finetune`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from core.cli.finetune import finetune_command, finetune_options
from mmbio.config import SequenceFinetuneRecipe as FinetuneRecipe

OPTIONS = finetune_options("mmbio", "finetune")


def main(words: list[str]) -> None:
    """Fine-tune on labelled sequences; mean and std over seeds."""
    finetune_command("mmbio", FinetuneRecipe, OPTIONS, _finetune, words)


def _finetune() -> Callable[..., dict[str, float]]:
    """Fine-tuning that reads the data once for all seeds: scaffolds of many molecules take a minute."""
    from core.saving import resolve
    from core.training.pretrained import data_of
    from mmbio.data.sources import load
    from mmbio.finetune import finetune, labelled

    read = cache(load)

    def once(
        recipe: FinetuneRecipe, pretrained: str | Path, out: Path, resume: bool, scratch: bool
    ) -> dict[str, float]:
        recipe = replace(recipe, data=recipe.data or data_of(resolve(pretrained)))
        return finetune(recipe, pretrained, out, resume, scratch, labelled(read(recipe.data), recipe.data))

    return once
