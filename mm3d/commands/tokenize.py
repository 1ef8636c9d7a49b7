"""`mm3d tokenize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.cli.training import training_command
from mm3d.config import PointDVAERecipe

TOKENIZERS = {"point_dvae": PointDVAERecipe}


def main(words: list[str]) -> None:
    """Parse a recipe with its overrides, train the tokenizer, and write the report."""
    training_command("mm3d", "tokenize", "point_dvae", TOKENIZERS, _tokenize, words)


def _tokenize() -> Callable[..., Any]:
    from mm3d.tokenize import tokenize

    return tokenize
