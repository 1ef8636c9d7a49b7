"""Deep mutational scans: variants of one protein with measured effects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.files import plain_or_packed
from mmbio.data.tables import number_of, read_table
from mmbio.proteins.alphabet import STANDARD
from mmbio.proteins.fasta import read_fasta, residues_of

MUTANT = ("mutant", "mutation", "mutations", "variant")
SCORE = ("score", "DMS_score", "fitness")
WILD_TYPE = ("wt", "_wt", "wildtype", "wild_type")
CHANGE = re.compile(r"([A-Z])(-?\d+)([A-Z*=])")


class Mutation(NamedTuple):
    """One residue that is replaced: the letter of the wild type, its index in the sequence, the new letter."""

    before: str
    place: int
    after: str


@dataclass(frozen=True)
class VariantSet:
    """Variants of a protein.

    Args:
        name: for messages.
        wild_type: its letters.
        mutations: of every variant, none for the wild type itself.
        names: of the variants, as the file writes them.
        scores: (N,) measured effects, higher for what works better; NaN where missing.
        skipped: lines that were left out, and why.
    """

    name: str
    wild_type: str
    mutations: tuple[tuple[Mutation, ...], ...]
    names: tuple[str, ...]
    scores: NDArray[np.float64]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.mutations)


def variants(path: str) -> VariantSet:
    """A scan in a CSV file with a column of mutants (``A24G``, several as ``A24G:K30R``) and one of scores.

    Numbers count the residues of the wild type from 1, or from any other number: the one at which all letters agree with
    it. Truncated variants (``A24*``) are left out and counted; synonymous changes are the wild type.

    Args:
        path: ``scan.csv``, with the wild type in ``scan.fasta`` beside it; ``scan.csv,wild_type.fasta``; or
            ``scan.csv,wild_type.fasta,column`` with the name of the column of scores. Of the FASTA file the first record.

    Raises:
        UserError: a column or the wild type is missing, a mutant cannot be read, a score is no number (each with file and
            line), or the letters do not agree with the wild type.
    """
    words = path.split(",")
    if len(words) > 3:
        raise UserError(f"{path}: expected scan.csv,wild_type.fasta,column")
    file = Path(words[0])
    fasta = (
        Path(words[1])
        if len(words) > 1 and words[1]
        else plain_or_packed(file.with_name(file.name.removesuffix(".gz")).with_suffix(".fasta"))
    )
    if not fasta.is_file():
        raise UserError(f"{file}: no wild type; expected {fasta}, or variants:{file},wild_type.fasta")
    wild_type = residues_of(read_fasta(fasta)[0], fasta)
    table = read_table(file)
    mutant = _column(table.columns, MUTANT, file, "mutants")
    score = _column(table.columns, (words[2],) if len(words) > 2 else SCORE, file, "scores")
    lines, names, found, scores, skipped = [], [], [], [], []
    for line, name, cell in zip(table.lines, table.column(mutant), table.column(score), strict=True):
        changes = _changes(name, f"{file}, line {line}")
        value = number_of(cell, f"{file}, line {line}: {score}")
        if any(change.after == "*" for change in changes):
            skipped.append(f"{file}, line {line}: {name} is truncated")
            continue
        lines.append(line)
        names.append(name)
        found.append(changes)
        scores.append(value)
    if not found:
        raise UserError(f"{file}: no variants in it")
    first = _numbering(found, wild_type, names, lines, file, fasta)
    placed = tuple(
        tuple(Mutation(b, place - first, a) for b, place, a in changes if a not in (b, "=")) for changes in found
    )
    return VariantSet(str(file), wild_type, placed, tuple(names), np.array(scores), tuple(skipped))


def _column(columns: tuple[str, ...], known: tuple[str, ...], file: Path, what: str) -> str:
    for name in known:
        if name in columns:
            return name
    said = f"{', '.join(columns[:12])}{', ...' if len(columns) > 12 else ''}"
    raise UserError(
        f"{file}: no column {' or '.join(map(repr, known))} for the {what}; it has {said or 'no columns'}. "
        "Name that of the scores as variants:scan.csv,wild_type.fasta,column"
    )


def _changes(name: str, where: str) -> tuple[Mutation, ...]:
    if name.lower() in WILD_TYPE:
        return ()
    found = []
    for word in re.split(r"[:;,\s]+", name):
        match = CHANGE.fullmatch(word)
        if match is None or match[1] not in STANDARD or match[3] not in (*STANDARD, "*", "="):
            raise UserError(f"{where}: {name!r} is no variant; expected one like A24G or A24G:K30R")
        found.append(Mutation(match[1], int(match[2]), match[3]))
    if len({change.place for change in found}) < len(found):
        raise UserError(f"{where}: {name!r} changes a residue twice")
    return tuple(found)


def _numbering(
    found: list[tuple[Mutation, ...]], wild_type: str, names: list[str], lines: list[int], file: Path, fasta: Path
) -> int:
    """The number of the wild type's first residue: 1 if all letters agree with it so, else the only one where they do."""
    letters: dict[int, str] = {}
    says: dict[int, str] = {}  # who is the first at a place
    for changes, name, line in zip(found, names, lines, strict=True):
        for before, place, _ in changes:
            says.setdefault(place, f"{file}, line {line}: {name}")
            if letters.setdefault(place, before) != before:
                raise UserError(f"{file}, line {line}: {name} is at {place}, where others have {letters[place]}")
    if not letters:
        raise UserError(f"{file}: no variant but the wild type")

    def agrees(first: int) -> bool:
        return all(wild_type[place - first : place - first + 1] == letter for place, letter in letters.items())

    low, high = min(letters), max(letters)
    fitting = [first for first in range(high - len(wild_type) + 1, low + 1) if agrees(first)]
    if 1 in fitting:
        return 1
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UserError(f"{file}: its letters agree with {fasta} at several places; number the residues from 1")
    wrong = next((p for p in sorted(letters) if wild_type[p - 1 : p] != letters[p]), low)
    has = wild_type[wrong - 1] if 1 <= wrong <= len(wild_type) else "no residue"
    raise UserError(f"{says[wrong]} says {letters[wrong]}{wrong}, and {fasta} has {has} there; expected its wild type")
