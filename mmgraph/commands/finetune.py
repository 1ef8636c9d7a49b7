"""`mmgraph finetune`."""

from __future__ import annotations

from collections.abc import Callable

from core.cli.finetune import finetune_command, finetune_options
from mmgraph.config import GraphFinetuneRecipe as FinetuneRecipe

OPTIONS = finetune_options("mmgraph", "finetune_nodes")


def main(words: list[str]) -> None:
    """Fine-tune on classes of nodes or graphs; mean and std over seeds."""
    finetune_command("mmgraph", FinetuneRecipe, OPTIONS, _finetune, words)


def _finetune() -> Callable[..., dict[str, float]]:
    from mmgraph.finetune import finetune

    return finetune
