"""The tokens of published MolFormer weights, which the weights do not say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import open_text
from mmbio.config import MolFormerConfig
from mmbio.molecules.vocabulary import SPECIAL

EXPECTED = "bert_vocab.txt of the official code, or vocab.json or tokenizer.json of Hugging Face"


def read_vocabulary(path: str | Path) -> tuple[str, ...]:
    """The tokens of a published file, in the order of their ids: the official ``bert_vocab.txt``, one a line, or Hugging
    Face's ``vocab.json`` or ``tokenizer.json``.

    Raises:
        UserError: it cannot be read, an empty line, a token that is there twice, numbers that are not those from 0 on, or a
            special token that is missing.
    """
    text = open_text(path)
    tokens = _of_numbers(text, path) if Path(path).suffix == ".json" else _of_lines(text, path)
    missing = [token for token in SPECIAL if token not in tokens]
    if missing:
        raise UserError(f"{path}: {', '.join(missing)} missing; expected {EXPECTED}")
    return tokens


def _of_lines(text: str, path: str | Path) -> tuple[str, ...]:
    lines: dict[str, int] = {}
    for number, token in enumerate(text.splitlines(), 1):
        if not token or token != token.strip():
            raise UserError(f"{path}, line {number}: {token!r}; expected one token, without white space")
        if token in lines:
            raise UserError(f"{path}, line {number}: {token!r} stands in line {lines[token]} already")
        lines[token] = number
    return tuple(lines)


def _of_numbers(text: str, path: str | Path) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error}); expected {EXPECTED}") from error
    model = found.get("model") if isinstance(found, dict) else None
    numbers = model.get("vocab") if isinstance(model, dict) else found
    if not isinstance(numbers, dict) or not all(type(number) is int for number in numbers.values()):
        raise UserError(f"{path}: no tokens with their numbers; expected {EXPECTED}")
    if sorted(numbers.values()) != list(range(len(numbers))):
        raise UserError(f"{path}: {len(numbers)} tokens whose numbers are not 0 to {len(numbers) - 1}")
    return tuple(sorted(numbers, key=lambda token: numbers[token]))


def with_tokens(config: Any, vocabulary: str | None, recipe: str) -> Any:
    """A copy of a network's configuration with the tokens of a file; as it is where none is given.

    Args:
        vocabulary: as :func:`read_vocabulary` takes it, or None.
        recipe: the configuration's, for messages.

    Raises:
        UserError: MolFormer without tokens, tokens for another network, or what :func:`read_vocabulary` raises.
    """
    if not isinstance(config, MolFormerConfig):
        if vocabulary is not None:
            raise UserError(f"--vocabulary {vocabulary}: only MolFormer takes one; {recipe} is of another network")
        return config
    if vocabulary is not None:
        return dataclasses.replace(config, tokens=read_vocabulary(vocabulary))
    if not config.tokens:
        raise UserError(f"{recipe}: MolFormer's weights do not say its tokens; give --vocabulary, {EXPECTED}")
    return config
