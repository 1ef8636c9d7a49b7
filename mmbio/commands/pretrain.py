"""`mmbio pretrain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.cli.training import training_command
from mmbio.config import RECIPES


def main(words: list[str]) -> None:
    """Parse a recipe with its overrides and train."""
    training_command("mmbio", "pretrain", "esm2_8m", RECIPES, _pretrain, words)


def _pretrain() -> Callable[..., Any]:
    from mmbio.pretrain import pretrain

    return pretrain
