"""Tables in text files: comma, tab or semicolon separated, with names of columns in the first line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.config import did_you_mean
from core.errors import UserError
from core.files import open_text

MISSING = frozenset(("", "na", "nan", "null", "none"))
"""How a missing label is written, in any case."""


@dataclass(frozen=True)
class TextTable:
    """The rows of a file.

    Args:
        path: for messages.
        columns: names.
        rows: cells without white space around them, as many as there are columns.
        lines: of every row, the line where it ends.
    """

    path: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def place(self, column: str) -> int:
        """Where a column stands.

        Raises:
            UserError: there is none of that name, or two.
        """
        if column not in self.columns:
            raise UserError(f"{self.path}: no column {column!r}{did_you_mean(column, self.columns)}")
        if self.columns.count(column) > 1:
            raise UserError(f"{self.path}: two columns {column!r}")
        return self.columns.index(column)

    def column(self, column: str) -> list[str]:
        """The cells of a column; errors as :meth:`place`."""
        place = self.place(column)
        return [row[place] for row in self.rows]

    def where(self, row: int) -> str:
        """File and line of a row, for messages."""
        return f"{self.path}, line {self.lines[row]}"


def read_table(path: str | Path) -> TextTable:
    """Read a table, which may be gzipped and have any line ends; blank lines are left out.

    The first line says what separates cells: a tab where it has one, then a comma, then a semicolon.

    Raises:
        UserError: no file, no text, no rows, or a row with another number of cells than there are names, with its line.
    """
    text = open_text(path).replace("\r\n", "\n").replace("\r", "\n")
    head = text.lstrip("\n").split("\n", 1)[0]
    separator = next((s for s in "\t,;" if s in head), ",")
    numbered = list(_rows(text, separator, str(path)))
    if len(numbered) < 2:
        raise UserError(f"{path}: no rows; expected names of columns in the first line and a row for every sequence")
    columns = numbered[0][1]
    for line, cells in numbered[1:]:
        if len(cells) != len(columns):
            raise UserError(f"{path}, line {line}: {len(cells)} cells; expected {len(columns)}, as in the first line")
    return TextTable(str(path), columns, tuple(c for _, c in numbered[1:]), tuple(n for n, _ in numbered[1:]))


def _rows(text: str, separator: str, where: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for row in reader:
            cells = tuple(cell.strip() for cell in row)
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise UserError(f"{where}, line {reader.line_num}: {error}") from error


def number_of(cell: str, where: str) -> float:
    """A cell as a number, NaN where one of :data:`MISSING` stands.

    Raises:
        UserError: no finite number, naming ``where``.
    """
    try:
        value = math.nan if cell.lower() in MISSING else float(cell)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise UserError(f"{where} {cell!r}; expected a number or nothing")
    return value


def answer_of(cell: str, where: str) -> float:
    """A cell as 0 or 1, NaN where one of :data:`MISSING` stands; errors as :func:`number_of`."""
    value = number_of(cell, where)
    if value not in (0.0, 1.0) and not math.isnan(value):
        raise UserError(f"{where} {cell!r}; expected 0, 1 or nothing")
    return value
