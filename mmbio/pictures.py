"""Sequences with a model's predictions drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from core.errors import UserError
from core.random import generator
from core.reporting.page import Page
from core.reporting.palette import INK
from core.reporting.png import new_figure, save_png
from mmbio.data.sets import SequenceSet
from mmbio.embedding import Piece, batch_of, pieces
from mmbio.readers import Samples
from mmbio.takes import check_kind

WIDTH = 60  # tokens a line of the picture
RIGHT, WRONG, OUT_OF_SIGHT = "#009e73", "#d55e00", "#8a939b"


class Guess(NamedTuple):
    """One token of a sequence: the true one, whether it was hidden, what the model named, and its chance of the true one."""

    token: str
    hidden: bool
    named: str
    chance: float


Row = tuple[str, list[Guess]]
"""What a sequence is called, and its tokens."""


def guesses(model: Any, batch: Any, draws: torch.Generator) -> list[Guess]:
    """Hide tokens of a batch of one sequence as in training and let the model name them; begin and end are left out.

    Raises:
        UserError: nothing in it may be hidden.
    """
    device = next(model.parameters()).device
    mask = model.draw_mask(batch, [draws])
    batch = batch.to(device)
    filled = model.reconstruct(batch, mask.to(device))
    names = model.token_names
    rows = {place: row for row, place in enumerate(mask.hidden_index.tolist())}
    found = []
    ids, own = model.true_ids(batch).tolist(), model.own_tokens(batch).tolist()
    for place, (number, shown) in enumerate(zip(ids, own, strict=True)):
        row = rows.get(place)
        if row is not None:
            named = names[int(filled.ids[row])]
            found.append(Guess(names[number], True, named, float(filled.chances[row, number])))
        elif shown:
            found.append(Guess(names[number], False, "", 1.0))
    return found


def reconstruct_texts(model: Any, data: SequenceSet, chosen: Sequence[int], seed: int, begin: int = 0) -> list[Row]:
    """Some sequences of a set as rows of guesses; of one longer than the model's positions window by window.

    Args:
        begin: number of the first of them, of which the masks are a function.

    Raises:
        UserError: proteins for a model of molecules or the other way round, a text that the vocabulary cannot read, or one
            of which nothing may be hidden.
    """
    check_kind(model, data)
    rows: list[Row] = []
    for number in chosen:
        name = data.names[number] if data.names else f"{data.name}, {number}"
        try:
            regions = [data.regions[number]] if data.regions else []
            cut = pieces(model, [data.texts[number]], regions)
            rows.append((name, windowed_guesses(model, cut, generator(seed, begin + len(rows), "reconstruct"))))
        except UserError as error:
            raise UserError(f"{name}: {error}") from error
    return rows


def windowed_guesses(model: Any, cut: Sequence[Piece], draws: torch.Generator) -> list[Guess]:
    """Guesses of one sequence, each token from the window that speaks for it; of a window in which nothing may be hidden
    all is shown as seen.

    Raises:
        UserError: nothing may be hidden in any.
    """
    can_hide = model.learns_from(batch_of(model, cut)).tolist()
    found: list[Guess] = []
    for piece, can in zip(cut, can_hide, strict=True):
        begin, _, first, last = piece.window
        if can or not any(can_hide):  # a mask of nothing is an error that says why
            row = guesses(model, batch_of(model, [piece]), draws)
        else:
            batch = batch_of(model, [piece])
            ids = model.true_ids(batch)[model.own_tokens(batch)]
            row = [Guess(model.token_names[i], False, "", 1.0) for i in ids.tolist()]
        found += row[first - begin : last - begin]
    return found


def held_out_rows(model: Any, data: Samples, count: int) -> list[Row]:
    """The first sequences of a set as rows of guesses; without windows in which nothing may be hidden."""
    rows: list[Row] = []
    for index in range(len(data)):
        sample = data.sample(index, generator(0, index, "shown"))
        batch = data.collate([sample])
        if not bool(model.learns_from(batch).any()):
            continue
        place = data.chosen[index]
        name = data.data.names[place] if data.data.names else f"sequence {place}"
        rows.append((name, guesses(model, batch, generator(0, index, "shown mask"))))
        if len(rows) == count:
            break
    return rows


def plot_rows(rows: Sequence[Row], path: Path, most_lines: int = 40) -> Path:
    """Draw sequences: visible tokens in grey, hidden ones in green where the model named them, else what it named below in red.

    Args:
        most_lines: of tokens; what does not fit is left out and said to be.
    """
    lines: list[tuple[str, list[Guess]]] = []
    for name, row in rows:
        for start in range(0, len(row), WIDTH):
            lines.append((name if start == 0 else "", row[start : start + WIDTH]))
    shown = lines[:most_lines]
    widest = max(sum(_size(g) for g in part) for _, part in shown)
    figure = new_figure(max(6.0, 0.105 * widest + 0.4), 0.52 * len(shown) + 0.5)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set_xlim(0, widest)
    axes.set_ylim(len(shown) + 0.2, -0.6)
    axes.axis("off")
    font: dict[str, Any] = {"family": "monospace", "size": 9, "va": "center", "ha": "left"}
    for y, (name, part) in enumerate(shown):
        x = 0
        if name:
            axes.text(0, y - 0.42, name[:90], color=INK, size=7, va="center")
        for guess in part:
            right = guess.named == guess.token
            colour = OUT_OF_SIGHT if not guess.hidden else RIGHT if right else INK
            axes.text(x, y, guess.token, color=colour, weight="bold" if guess.hidden else "normal", **font)
            if guess.hidden and not right:
                axes.text(x, y + 0.34, guess.named, color=WRONG, **font)
            x += _size(guess)
    if len(lines) > most_lines:
        axes.text(0, len(shown), f"and {len(lines) - most_lines} lines more", color=INK, size=7)
    return save_png(figure, path)


def _size(guess: Guess) -> int:
    return max(len(guess.token), len(guess.named))


def three_lines(row: list[Guess], width: int = 100) -> str:
    """For fixed width: true tokens, what was hidden, what was named; wrapped."""
    blocks, lines = [], ["", "", ""]
    for guess in row:
        size = _size(guess)
        if len(lines[0]) + size > width:
            blocks.append("\n".join(lines))
            lines = ["", "", ""]
        lines[0] += guess.token.ljust(size)
        lines[1] += ("_" if guess.hidden else " ") * size
        lines[2] += guess.named.ljust(size) if guess.hidden else " " * size
    return "\n\n".join([*blocks, "\n".join(lines)])


def write_reconstructions(rows: Sequence[Row], out: str, title: str) -> tuple[Path, Path]:
    """OUT.png, and OUT.html with the same as text.

    Raises:
        UserError: a file that cannot be written.
    """
    page = Page(title)
    page.add_text("Three lines a sequence: what is true, what was hidden (_), and what the model names there.")
    for name, row in rows:
        page.add_heading(name)
        page.add_code(three_lines(row))
    try:
        return plot_rows(rows, Path(f"{out}.png")), page.write(Path(f"{out}.html"))
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error.strerror or error})") from error
