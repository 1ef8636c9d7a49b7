"""Alignments of proteins: a3m and aligned FASTA files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

from core.errors import UserError
from core.files import open_text
from mmbio.proteins.alphabet import RESIDUES, capitals
from mmbio.proteins.fasta import Record, records_in

ALIGNED = (".fasta", ".fa", ".afa", ".fas", ".aln")

# Rows that HH-suite writes beside the sequences: secondary structure, accessibility, and the consensus.
ANNOTATION = re.compile(r"(ss_(pred|conf|dssp)|sa_dssp|aa_(pred|dssp)|Consensus)$|.*_consensus$")
INSERTION = re.compile(r"[a-z.]")
_ALLOWED = RESIDUES | frozenset("J*-." + ascii_lowercase)


@dataclass(frozen=True)
class Alignment:
    """Rows of equal length: capital letters and ``-`` for gaps; the first row is the query.

    Args:
        name: for messages.
        rows: at least one, none empty.
        names: the first word of every row's header, which may be empty.
    """

    name: str
    rows: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.rows[0])

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)


def read_a3m(path: str | Path) -> Alignment:
    """An alignment in a3m form: lower-case letters and dots are insertions against the query and are taken out.

    Lines that begin with ``#`` and HH-suite's rows of annotation are left out; J and ``*`` become X.

    Raises:
        UserError: no file, no FASTA, no row, a row of another length than the query, with the file and the line of the row's
            header; or another character, with its own line and its place there.
    """
    return _alignment(path, lambda text: INSERTION.sub("", text))


def read_aligned_fasta(path: str | Path) -> Alignment:
    """An alignment in FASTA form: all rows have the same length, dots are gaps, and lower case means nothing.

    Other rules and errors as :func:`read_a3m`.
    """
    return _alignment(path, lambda text: capitals(text.replace(".", "-")))


def read_alignment(path: str | Path) -> Alignment:
    """An alignment by the ending of its file: ``.a3m``, or one of aligned FASTA; ``.gz`` may follow."""
    name = str(path).removesuffix(".gz")
    if name.endswith(".a3m"):
        return read_a3m(path)
    if name.endswith(ALIGNED):
        return read_aligned_fasta(path)
    raise UserError(f"{path}: expected an alignment, .a3m or {', '.join(ALIGNED)}, plain or .gz")


def _alignment(path: str | Path, read_row: Callable[[str], str]) -> Alignment:
    rows, names = [], []
    for record in records_in(open_text(path), str(path), ("#", ";")):
        if ANNOTATION.match(record.name):
            continue
        where = f"{path}, line {record.line}"
        _check_letters(record, path)
        rows.append(read_row("".join(record.text.split())).replace("J", "X").replace("*", "X"))
        names.append(record.name)
        if not rows[0]:
            raise UserError(f"{where}: the query, which is the first row, has no residues")
        if len(rows[-1]) != len(rows[0]):
            raise UserError(
                f"{where}: {record.name or f'row {len(rows)}'} has {len(rows[-1])} columns, the query has {len(rows[0])}; "
                "expected rows of equal length (in .a3m insertions in lower case)"
            )
    if not rows:
        raise UserError(f"{path}: no row; expected an alignment")
    return Alignment(str(path), tuple(rows), tuple(names))


def _check_letters(record: Record, path: str | Path) -> None:
    if _ALLOWED.issuperset(record.text):
        return
    for index, letter in enumerate(record.text):
        if letter not in _ALLOWED and not letter.isspace():
            line, place = record.at(index)
            raise UserError(
                f"{path}, line {line}: {record.name or 'a row'}: character {letter!r} at place {place} is no residue and no gap"
            )
