"""`mmbio tokenize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.cli.training import training_command
from mmbio.config import TOKENIZERS


def main(words: list[str]) -> None:
    """Parse a recipe with its overrides and train a tokenizer."""
    training_command("mmbio", "tokenize", "mole_bert_tokenizer", TOKENIZERS, _tokenize, words)


def _tokenize() -> Callable[..., Any]:
    from mmbio.tokenize import tokenize

    return tokenize
