"""FASTA files."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError


class Record(NamedTuple):
    """One record: the line of its header, the header without ``>``, and the lines below it joined, as they stand."""

    line: int
    header: str
    text: str

    @property
    def name(self) -> str:
        """The first word of the header."""
        return self.header.split(maxsplit=1)[0] if self.header else ""


def open_text(path: str | Path) -> str:
    """The text of a file, unpacked where its name ends in ``.gz``; without a byte order mark.

    Raises:
        UserError: it cannot be read, or is no text.
    """
    path = Path(path)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return content.decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise UserError(f"{path}: truncated or no text ({error})") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


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
