"""`mmgraph pretrain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.cli.training import training_command
from mmgraph.config import RECIPES


def main(words: list[str]) -> None:
    """Parse a recipe with its overrides and train."""
    training_command("mmgraph", "pretrain", "graphmae_cora", RECIPES, _pretrain, words)


def _pretrain() -> Callable[..., Any]:
    from mmgraph.pretrain import pretrain

    return pretrain
