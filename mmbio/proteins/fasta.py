"""FASTA files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from core.files import open_text


class Record(NamedTuple):
    """One record: the line of its header, the header without ``>``, and the lines below it joined, as they stand."""

    line: int
    header: str
    text: str

    @property
    def name(self) -> str:
        """The first word of the header."""
        return self.header.split(maxsplit=1)[0] if self.header else ""


def read_fasta(path: str | Path) -> list[Record]:
    """All records of a FASTA file, which may be gzipped; any line ends, blank lines are left out.

    Raises:
        UserError: no file, no text, text before the first header, or no record at all.
    """
    records = list(records_in(open_text(path), str(path)))
    if not records:
        raise UserError(f"{path}: no record; expected FASTA, a line with > and lines of residues")
    return records


def records_in(text: str, where: str) -> Iterator[Record]:
    begin, header = 0, None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line.startswith(">"):
            if header is not None:
                yield Record(begin, header, "".join(lines))
            begin, header, lines = number, line[1:].strip(), []
        elif line and not line.startswith(";"):
            if header is None:
                raise UserError(f"{where}, line {number}: {line[:20]!r} before the first >; expected FASTA")
            lines.append(line)
    if header is not None:
        yield Record(begin, header, "".join(lines))
