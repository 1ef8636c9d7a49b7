"""Sequences with a model's predictions drawn on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.random import generator
from core.reporting.page import Page
from mmbio.data.tokens import TokenData
from mmbio.models.masked_lm import MaskedLM
from mmbio.sequences import join
from mmbio.vocabulary import Vocabulary


class Guess(NamedTuple):
    """One token of a sequence: the true one, whether it was hidden, what the model named, and its chance of the true one."""

    token: str
    hidden: bool
    named: str
    chance: float


def guesses(model: MaskedLM, ids: Tensor, draws: torch.Generator, regions: Tensor | None = None) -> list[Guess]:
    """Hide tokens of one sequence as in training and let the model name them."""
    batch = join([ids], None if regions is None else [regions])
    device = next(model.parameters()).device
    mask = model.draw_mask(batch, [draws])
    filled = model.reconstruct(batch.to(device), mask.to(device))
    tokens, found = model.vocabulary.tokens, []
    index = {place: row for row, place in enumerate(mask.hidden_index.tolist())}
    for place, number in enumerate(ids.tolist()):
        row = index.get(place)
        if row is None:
            found.append(Guess(tokens[number], False, "", 1.0))
        else:
            named = tokens[int(filled.ids[row])]
            found.append(Guess(tokens[number], True, named, float(filled.chances[row, number])))
    return [guess for guess in found if guess.token not in _around(model.vocabulary)]


def _around(vocabulary: Vocabulary) -> set[str | None]:
    return {vocabulary.begin, vocabulary.end}


def add_reconstructions(page: Page, model: Any, data: TokenData, count: int) -> None:
    """Sequences on a page: what was read, what the model named in the hidden places, and what is true."""
    page.add_heading("Predictions")
    page.add_text(
        "Three rows a sequence: what is true; what was hidden (_); what the model names there, in lower case or between < and > "
        "where it is wrong."
    )
    for index in range(min(count, len(data))):
        sample = data.sample(index, generator(0, index, "shown"))
        row = guesses(model, sample.ids, generator(0, index, "shown mask"), sample.regions)
        page.add_code("\n\n".join(three_rows(row)))


def three_rows(row: list[Guess], width: int = 100) -> list[str]:
    """Blocks of three lines for fixed width: true tokens, what was hidden, what was named; wrapped at ``width``."""
    blocks, lines = [], ["", "", ""]
    for guess in row:
        right = guess.named == guess.token
        named = "" if not guess.hidden else guess.named if right else wrong(guess.named)
        size = max(len(guess.token), len(named))
        if len(lines[0]) + size > width:
            blocks.append("\n".join(lines))
            lines = ["", "", ""]
        lines[0] += guess.token.ljust(size)
        lines[1] += ("_" if guess.hidden else " ") * size
        lines[2] += named.ljust(size) if guess.hidden else "·" * size
    return [*blocks, "\n".join(lines)]


def wrong(token: str) -> str:
    """How a wrong token is written: a single capital letter in lower case, anything else between brackets."""
    return token.lower() if len(token) == 1 and token.isupper() else f"<{token.strip('<>')}>"


def write_page(path: Path, title: str, blocks: list[tuple[str, list[Guess]]]) -> Path:
    """An HTML page of sequences with predictions: (heading, tokens) each."""
    page = Page(title)
    for heading, row in blocks:
        page.add_heading(heading)
        page.add_code("\n\n".join(three_rows(row)))
    return page.write(path)
