"""TAPE's contact task: ProteinNet in the JSON form of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.files import plain_or_packed
from mmbio.data.structures import StructureSet, divided
from mmbio.data.tape import part_file, read_field, tape_records

PARTS = ("train", "valid", "test")


def tape_contacts(path: str) -> StructureSet:
    """Structures of ``proteinnet_train.json``, ``proteinnet_valid.json`` and ``proteinnet_test.json`` to read contacts from.

    Those of train and valid may be fitted on, those of test are scored. Records have ``primary``, ``tertiary``, a place in
    angstrom for every residue, and ``valid_mask``; pairs with a residue that it leaves out are neither contact nor none.
    Residues are in contact below 8 angstrom between these places, as in the official code.

    Args:
        path: the folder of the files, plain or ``.gz``; valid may be missing.

    Raises:
        UserError: no such files, LMDB, or a record that does not fit, with file and number.

    Source: songlab-cal/tape, ProteinnetDataset in tape/datasets.py.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{path}: no such folder; expected one with proteinnet_train.json and proteinnet_test.json")
    if list(folder.glob("*.lmdb")) and not plain_or_packed(folder / "proteinnet_train.json").is_file():
        raise UserError(f"{path}: LMDB, whose records are pickles that could execute code; take the JSON files")
    texts, names, places, parts = [], [], [], []
    for part in PARTS:
        if part == "valid" and not plain_or_packed(folder / "proteinnet_valid.json").is_file():
            continue
        for text, record, where, name in tape_records(part_file(folder, f"proteinnet_{part}"), ("tertiary",)):
            texts.append(text)
            names.append(name)
            places.append(read_field(_places, record, "tertiary", len(text), where))
            parts.append(part)
    return divided(str(folder), texts, names, places, np.array(parts))


def _places(value: Any, length: int, record: dict[str, Any]) -> NDArray[np.float64]:
    """(L, 3), NaN where ``valid_mask`` says that a residue was not resolved."""
    places = np.array(value, dtype=np.float64)
    valid = np.array(record.get("valid_mask", [True] * length), dtype=bool)
    if places.shape != (length, 3) or valid.shape != (length,):
        raise UserError(
            f"tertiary {places.shape} and valid_mask {valid.shape} for {length} residues; expected one place each"
        )
    return np.where(valid[:, None], places, np.nan)
