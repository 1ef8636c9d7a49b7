"""`mmbio finetune`."""

from __future__ import annotations

from collections.abc import Callable

from core.cli.finetune import finetune_command, finetune_options
from mmbio.config import SequenceFinetuneRecipe as FinetuneRecipe

OPTIONS = finetune_options("mmbio", "finetune")


def main(words: list[str]) -> None:
    """Fine-tune on labelled sequences; mean and std over seeds."""
    finetune_command("mmbio", FinetuneRecipe, OPTIONS, _finetune, words)


def _finetune() -> Callable[..., dict[str, float]]:
    from mmbio.finetune import finetune

    return finetune
