"""Molecules of files of SMILES."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from core.files import open_text, plain_or_packed
from mmbio.data.sets import SequenceSet
from mmbio.data.tables import read_table
from mmbio.molecules.chemistry import canonical, parse, rdkit_chem

COLUMNS = ("smiles", "canonical_smiles", "mol")
NAMES = ("name", "id", "mol_id")


class Line(NamedTuple):
    """A molecule as a file has it: the number of its line, its SMILES, and its name or ""."""

    number: int
    smiles: str
    name: str


def smiles(path: str, skip: bool = False, respell: bool = False) -> SequenceSet:
    """The molecules of a file of SMILES, all of which rdkit must be able to read.

    A ``.csv`` or ``.tsv`` file has a line of headings; the column is the one called smiles, canonical_smiles or mol, or the
    one that the path names: ``molecules.csv@structure``. In any other file a line is SMILES and, behind a space, a name if
    there is one. Either may be gzipped.

    Args:
        path: of the file.
        skip: leave out lines that cannot be used, and count them; otherwise they are errors.
        respell: take rdkit's canonical spelling of every molecule.

    Raises:
        UserError: no such file, no text, no such column, and, unless skipped, a line without SMILES or with what is no
            molecule; each with file and line.
    """
    file, column = split_column(path)
    texts: list[str] = []
    names: list[str] = []
    skipped: list[str] = []
    for line in read_lines(file, column):
        try:
            texts.append(_molecule(line.smiles, respell))
            names.append(line.name)
        except UserError as error:
            said = f"{file}, line {line.number}: {error}"
            if not skip:
                raise UserError(said) from error
            skipped.append(said)
    return SequenceSet(str(file), "molecule", tuple(texts), tuple(names) if all(names) else (), skipped=tuple(skipped))


def _molecule(text: str, respell: bool) -> str:
    if respell:
        return canonical(text)
    parse(text)
    return text


def split_column(path: str) -> tuple[Path, str | None]:
    """``file@column`` as its two parts, where there is no file of the whole name."""
    file, mark, column = path.rpartition("@")
    return (Path(file), column) if mark and not Path(path).exists() else (Path(path), None)


def read_lines(file: Path, column: str | None = None) -> Iterator[Line]:
    """The lines of a file, by what its name ends in; empty lines are left out.

    Raises:
        UserError: it cannot be read, or has no column of that name, or none that is known.
    """
    ending = Path(file.name.removesuffix(".gz")).suffix.lower()
    if ending in (".csv", ".tsv"):
        return _of_table(file, column)
    if column is not None:
        raise UserError(f"{file}: column {column!r} of a file without columns; expected .csv or .tsv, or no @{column}")
    return _of_lines(file)


def _of_lines(file: Path) -> Iterator[Line]:
    for number, line in enumerate(open_text(file).splitlines(), 1):
        words = line.split(maxsplit=1)
        if words and not (number == 1 and words[0].lower() in COLUMNS):
            yield Line(number, words[0], words[1].strip() if len(words) > 1 else "")


def _of_table(file: Path, column: str | None) -> Iterator[Line]:
    table = read_table(file)
    place = find_column(table.columns, column, str(file))
    name = next((i for i, title in enumerate(table.columns) if title.lower() in NAMES and i != place), None)
    for number, row in zip(table.lines, table.rows, strict=True):
        yield Line(number, row[place], "" if name is None else row[name])


def find_column(heading: Sequence[str], column: str | None, where: str) -> int:
    """The place of the column of SMILES.

    Raises:
        UserError: it is not there.
    """
    known = (column,) if column is not None else COLUMNS
    for wanted in known:
        for place, title in enumerate(heading):
            if title == wanted or (column is None and title.lower() == wanted):
                return place
    raise UserError(
        f"{where}: no column {' or '.join(map(repr, known))}; there are {', '.join(heading[:10])}; name it behind @"
    )


def nci(path: str = "") -> SequenceSet:
    """The first 5,000 molecules of the NCI's open collection, which come with rdkit; lines it cannot read are left out.

    Raises:
        MissingPackage: rdkit is not installed.
    """
    rdkit_chem()
    from rdkit import RDConfig

    found = smiles(str(Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"), skip=True)
    return SequenceSet("nci", "molecule", found.texts, tuple(f"NCI-{n}" for n in found.names), skipped=found.skipped)


MOSES_HELD_OUT = 10_000


def moses(path: str) -> SequenceSet:
    """The training part of MOSES, and of its test part an even choice of :data:`MOSES_HELD_OUT` molecules as held out.

    The molecules are taken as they stand: they were filtered and spelled by rdkit when the set was made.

    Args:
        path: the folder with train.csv and test.csv, each plain or ``.gz``, with a column SMILES.

    Raises:
        UserError: a file is missing, or is not such a table.

    Source: Polykovskiy et al., "Molecular Sets (MOSES)", Section 2.
    """
    train, test = (_moses_part(Path(path), part) for part in ("train", "test"))
    held = test[:: max(len(test) // MOSES_HELD_OUT, 1)][:MOSES_HELD_OUT]
    return SequenceSet(path, "molecule", (*train, *held), held_out=tuple(range(len(train), len(train) + len(held))))


def _moses_part(folder: Path, part: str) -> list[str]:
    file = plain_or_packed(folder / f"{part}.csv")
    if not file.is_file():
        raise UserError(f"{folder}: no {part}.csv or {part}.csv.gz; expected the files of MOSES")
    heading, *lines = open_text(file).splitlines() or [""]
    titles = heading.split(",")
    place = find_column(titles, "SMILES", str(file))
    found = []
    for number, line in enumerate(lines, 2):
        cells = line.split(",")
        if len(cells) == len(titles) and cells[place]:
            found.append(cells[place])
        elif line.strip():
            raise UserError(f"{file}, line {number}: {line[:40]!r}; expected {len(titles)} cells and a molecule")
    return found
