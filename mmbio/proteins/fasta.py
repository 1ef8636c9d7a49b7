"""FASTA files."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from core.files import open_text
from mmbio.proteins.alphabet import NoResidue, clean


class Start(NamedTuple):
    """A line of a record: where its text begins in the joined text, the line's number, and the white space before it."""

    begin: int
    line: int
    indent: int


class Record(NamedTuple):
    """One record: the line of its header, the header without ``>``, the lines below it joined, as they stand, and where each
    of these begins."""

    line: int
    header: str
    text: str
    starts: tuple[Start, ...]

    @property
    def name(self) -> str:
        """The first word of the header."""
        return self.header.split(maxsplit=1)[0] if self.header else ""

    def at(self, index: int) -> tuple[int, int]:
        """The line of a character of the text, and its place in that line from 1."""
        start = self.starts[bisect_right(self.starts, index, key=lambda start: start.begin) - 1]
        return start.line, start.indent + index - start.begin + 1


def read_fasta(path: str | Path) -> list[Record]:
    """All records of a FASTA file, which may be gzipped; any line ends, blank lines are left out.

    Raises:
        UserError: no file, no text, text before the first header, or no record at all.
    """
    records = list(records_in(open_text(path), str(path)))
    if not records:
        raise UserError(f"{path}: no record; expected FASTA, a line with > and lines of residues")
    return records


def records_in(text: str, where: str, comments: tuple[str, ...] = (";",)) -> Iterator[Record]:
    """The records of a text; lines that begin with one of ``comments`` are left out.

    Raises:
        UserError: text before the first header, with its line.
    """
    begin, header, length = 0, None, 0
    lines: list[str] = []
    starts: list[Start] = []
    for number, raw in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        line = raw.strip()
        if line.startswith(">"):
            if header is not None:
                yield Record(begin, header, "".join(lines), tuple(starts))
            begin, header, length, lines, starts = number, line[1:].strip(), 0, [], []
        elif line and not line.startswith(comments):
            if header is None:
                raise UserError(f"{where}, line {number}: {line[:20]!r} before the first >; expected FASTA")
            lines.append(line)
            starts.append(Start(length, number, len(raw) - len(raw.lstrip())))
            length += len(line)
    if header is not None:
        yield Record(begin, header, "".join(lines), tuple(starts))


def residues_of(record: Record, path: str | Path) -> str:
    """The letters of a record by the rule of :func:`~mmbio.proteins.alphabet.clean`.

    Raises:
        UserError: no letters, with file and the line of the header; or a character that is no residue, with its own line and
            its place there.
    """
    name = record.name or "a record without a name"
    try:
        return clean(record.text)
    except NoResidue as error:
        line, place = record.at(error.place - 1)
        raise UserError(f"{path}, line {line}: {name}: {NoResidue(error.letter, place)}") from error
    except UserError as error:
        raise UserError(f"{path}, line {record.line}: {name}: {error}") from error
