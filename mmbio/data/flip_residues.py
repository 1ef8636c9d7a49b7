"""Data of FLIP whose residues have classes: secondary structure, conservation, binding."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.files import plain_or_packed
from mmbio.data.named import Named, records_by_name
from mmbio.data.sets import LabelledSequences, without_leaks
from mmbio.data.splits import complete
from mmbio.proteins.fasta import Record, read_fasta, residues_of

LIGANDS = {"metal": 1, "nucleic": 2, "small": 4}
"""Bits of the labels of binding residues: metal ions, nucleic acids, small molecules. 0 binds nothing, 7 all three."""

ORDER = ("train", "validation", "test")


def flip_ss(path: str, masked: bool = True) -> LabelledSequences:
    """FLIP's secondary structure: a folder with ``sequences.fasta``, ``sampled.fasta`` and ``mask.fasta``, or ``splits`` with it.

    Three classes, coil, strand (E) and helix. Residues that the structure lacks (0 in the mask) are called coil in the file;
    they are neither trained on nor scored, unless ``masked`` is False.

    Raises:
        UserError: a missing or damaged file, labels of another length, an unknown letter; with file and line.

    Source: as :func:`~mmbio.data.flip.flip_values`; NetSurfP-2.0 data (Klausen et al. 2019) with the test set NEW364.
    """
    return residue_set(path, "sampled", lambda letter: {"C": 0, "E": 1, "H": 2}.get(letter), ("C", "E", "H"), masked)


def flip_conservation(path: str) -> LabelledSequences:
    """FLIP's conservation: classes 1 (variable) to 9 (conserved) of ConSurf-DB; files and errors as :func:`flip_ss`."""
    classes = tuple("123456789")
    return residue_set(path, "sampled", lambda letter: classes.index(letter) if letter in classes else None, classes)


def flip_bind(path: str, ligand: str | None = None) -> LabelledSequences:
    """FLIP's binding residues: two classes, of any ligand or of one of :data:`LIGANDS`; files and errors as :func:`flip_ss`.

    The split is ``from_publication.fasta`` where a folder is given.

    Source: the README of splits/bind in FLIP's repository: digits 0 to 7 are three bits, small molecule, nucleic acid, metal.
    """
    bits = 7 if ligand is None else LIGANDS[ligand]

    def binds(letter: str) -> int | None:
        return int(int(letter) & bits > 0) if letter in "01234567" else None

    return residue_set(path, "from_publication", binds, ("no", "yes"))


def residue_set(
    path: str, split: str, class_of: Callable[[str], int | None], classes: tuple[str, ...], masked: bool = True
) -> LabelledSequences:
    """Sequences of ``sequences.fasta`` with a label for every residue in a split's file beside it.

    A record that is in a file twice counts once, in the last of train, validation and test that it is in, and ``skipped`` has
    a line for each that is there again; a sequence that is in a later part under another name is taken out of the earlier
    ones.

    Args:
        path: the split's file, or the folder of the files, or one with a folder ``splits``.
        split: the name of its file where a folder is given.
        class_of: class of a letter, None for an unknown one.
        masked: residues with 0 in ``mask.fasta``, where there is that file, get label -1.

    Raises:
        UserError: what :func:`flip_ss` says; also two records of one name in a file that say different things.
    """
    file = _split_file(Path(path), split)
    skipped: list[str] = []
    source = _beside(file, "sequences.fasta")
    sequences = records_by_name(source, skipped)
    mask = plain_or_packed(file.parent / "mask.fasta")
    masks = records_by_name(mask, skipped) if masked and mask.exists() else {}
    names = Named(skipped)
    found: dict[str, tuple[str, str, NDArray[np.int64]]] = {}
    for record in read_fasta(file):
        where = f"{file}, line {record.line}"
        part = _part(record, where)
        if record.name not in sequences:
            raise UserError(f"{where}: {record.name!r} is not in {source}")
        text = residues_of(sequences[record.name], source)
        labels = _labels(record, class_of, classes, file)
        if record.name in masks:
            labels[_zeros(masks[record.name], len(labels), str(mask))] = -1
        if len(labels) != len(text):
            raise UserError(f"{where}: {len(labels)} labels for the {len(text)} residues of {record.name}")
        if names.is_new(record.name, record.text, where) or ORDER.index(part) > ORDER.index(found[record.name][0]):
            found[record.name] = (part, text, labels)
    parts, texts, labelled = zip(*found.values(), strict=True)
    split_up = complete(parts, texts)
    return without_leaks(
        LabelledSequences(
            path, "protein", texts, "residues", labelled, *split_up, classes, tuple(found), tuple(skipped)
        )
    )


def _split_file(path: Path, split: str) -> Path:
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if not path.is_dir():
        return path
    folder = path / "splits" if (path / "splits").is_dir() else path
    return _beside(folder / "any", f"{split}.fasta")


def _beside(file: Path, name: str) -> Path:
    found = plain_or_packed(file.parent / name)
    if not found.exists():
        there = ", ".join(sorted(p.name for p in file.parent.glob("*.fasta*"))) or "no FASTA file"
        raise UserError(f"{found}: no such file; there is {there}")
    return found


def _part(record: Record, where: str) -> str:
    said = dict(re.findall(r"(\w+)=(\w+)", record.header))
    if said.get("SET") not in ("train", "test") or said.get("VALIDATION", "False") not in ("True", "False"):
        raise UserError(f"{where}: {record.header!r}; expected SET=train or SET=test, and VALIDATION=True or False")
    return "validation" if said["SET"] == "train" and said.get("VALIDATION") == "True" else said["SET"]


def _labels(
    record: Record, class_of: Callable[[str], int | None], classes: tuple[str, ...], file: Path
) -> NDArray[np.int64]:
    known = {letter: class_of(letter) for letter in set(record.text)}
    for letter, number in known.items():
        if number is None:
            line, place = record.at(record.text.index(letter))
            raise UserError(
                f"{file}, line {line}: label {letter!r} of {record.name} at place {place}; expected classes {', '.join(classes)}"
            )
    return np.array([known[letter] for letter in record.text], dtype=np.int64)


def _zeros(mask: Record, length: int, file: str) -> NDArray[np.bool_]:
    if len(mask.text) != length or set(mask.text) - {"0", "1"}:
        raise UserError(f"{file}, line {mask.line}: the mask of {mask.name}; expected {length} of 0 and 1")
    return np.array([letter == "0" for letter in mask.text])
