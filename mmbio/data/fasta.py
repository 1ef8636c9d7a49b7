"""Proteins of FASTA files."""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError
from mmbio.data.sets import SequenceSet
from mmbio.proteins.fasta import read_fasta, residues_of

ENDINGS = (".fasta", ".fa", ".faa", ".fas")


def fasta(path: str, skip: bool = False) -> SequenceSet:
    """The sequences of a FASTA file, or of all in a folder, by the rule of :func:`~mmbio.proteins.alphabet.clean`.

    A record without a name is called by its line, ``line-3``, in a folder of several files ``some.fasta-line-3``.

    Args:
        path: a file, plain or ``.gz``, or a folder with such files.
        skip: leave out records that cannot be used, and count them; otherwise they are errors.

    Raises:
        UserError: no such file, not FASTA, and, unless skipped, an empty record, a name that is there twice, or a character
            that is no residue; each with file and line.
    """
    files = fasta_files(Path(path))
    texts: list[str] = []
    names: list[str] = []
    skipped: list[str] = []
    known: dict[str, str] = {}  # where a name was met first
    for file in files:
        for record in read_fasta(file):
            where = f"{file}, line {record.line}"
            try:
                if record.name in known:
                    raise UserError(f"{where}: {record.name!r} is there already ({known[record.name]})")
                texts.append(residues_of(record, file))
            except UserError as error:
                if not skip:
                    raise
                skipped.append(str(error))
                continue
            if record.name:
                known[record.name] = where
            names.append(record.name or f"{f'{file.name}-' if len(files) > 1 else ''}line-{record.line}")
    return SequenceSet(str(path), "protein", tuple(texts), tuple(names), skipped=tuple(skipped))


def fasta_files(path: Path) -> list[Path]:
    """The file itself, or the FASTA files of a folder in the order of their names."""
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if p.name.removesuffix(".gz").endswith(ENDINGS))
    if not found:
        raise UserError(f"{path}: no FASTA file in it; expected names that end in {', '.join(ENDINGS)}, or .gz behind")
    return found
