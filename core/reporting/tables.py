"""One table, three ways to print it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any


class Table:
    """Rows of any cells under named columns.

    Floats print with four significant digits, None as a dash, everything else by ``str``. Columns whose cells
    are all numbers, or print like ``0.7 ± 0.1``, are aligned to the right.

    Raises:
        ValueError: a row with another number of cells than there are columns.
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.columns = tuple(columns)
        self.rows = tuple(tuple(row) for row in rows)
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"row {number} has {len(row)} cells for {len(self.columns)} columns")
        self._cells = [[_format(cell) for cell in row] for row in self.rows]
        self._numeric = [
            bool(self.rows) and all(_is_number(row[column]) for row in self._cells)
            for column in range(len(self.columns))
        ]

    def text(self) -> str:
        """Plain text for a terminal: aligned columns, a rule under the heading."""
        names = [_one_line(name) for name in self.columns]
        cells = [[_one_line(cell) for cell in row] for row in self._cells]
        widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]

        def line(row: Sequence[str]) -> str:
            aligned = (
                cell.rjust(width) if numeric else cell.ljust(width)
                for cell, width, numeric in zip(row, widths, self._numeric, strict=True)
            )
            return "  ".join(aligned).rstrip()

        return "\n".join([line(names), "  ".join("-" * width for width in widths), *map(line, cells)]) + "\n"

    def markdown(self) -> str:
        """A GitHub-flavoured Markdown table; pipes and angle brackets in cells are escaped."""
        rule = ["---:" if numeric else "---" for numeric in self._numeric]
        lines = [[_markdown(cell) for cell in row] for row in (self.columns, *self._cells)]
        lines.insert(1, rule)
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def html(self) -> str:
        """A ``<table>`` with escaped cells; numeric columns carry the class ``number``."""

        def line(tag: str, row: Sequence[str]) -> str:
            styles = (' class="number"' if numeric else "" for numeric in self._numeric)
            cells = (f"<{tag}{style}>{html.escape(c)}</{tag}>" for c, style in zip(row, styles, strict=True))
            return f"<tr>{''.join(cells)}</tr>"

        body = "\n".join(line("td", row) for row in self._cells)
        return f"<table>\n<thead>{line('th', self.columns)}</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"


def _format(cell: Any) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, Real) and not isinstance(cell, Integral):
        return f"{cell:.4g}"
    return str(cell)


def _is_number(cell: str) -> bool:
    """Whether a printed cell reads as a number; a dash stands for a missing one."""
    if cell == "–":
        return True
    try:
        return all(float(part.replace(",", "")) is not None for part in cell.split("±"))
    except ValueError:
        return False


def _one_line(cell: str) -> str:
    return " ".join(cell.split("\n"))


def _markdown(cell: str) -> str:
    return _one_line(cell).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
