"""Splits of molecules by their scaffolds, so that what is tested has other ring systems than what is trained on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import UserError
from core.files import write_atomically
from mmbio.molecules.chemistry import parse, rdkit_chem

CACHED_FROM = 10_000
"""Of so many molecules the scaffolds are kept on disk: rdkit finds one to two thousand a second."""


class Split(NamedTuple):
    """Indices of three parts, (n,) int64 each."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def scaffold(text: str) -> str:
    """The Bemis-Murcko scaffold of a molecule, rings and what links them, with chirality, as SMILES; "" without rings.

    Raises:
        UserError: no molecule.

    Source: Bemis and Murcko, "The Properties of Known Drugs. 1. Molecular Frameworks".
    """
    molecule = parse(text)
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        return MurckoScaffoldSmiles(mol=molecule, includeChirality=True)


def scaffold_groups(smiles: Sequence[str]) -> NDArray[np.int32]:
    """For every molecule the number of its scaffold, counted from 0 as they appear; -1 for what is no molecule: (N,).

    Kept in the cache folder (``$MM_BEYOND_CACHE``, or ~/.cache/mm-beyond; ``off`` for none) where there are many.
    """
    chem = rdkit_chem()
    file = _cache_file(smiles, chem.rdBase.rdkitVersion) if len(smiles) >= CACHED_FROM else None
    if file is not None and (kept := _read(file, len(smiles))) is not None:
        return kept
    numbers: dict[str, int] = {}
    groups = np.full(len(smiles), -1, dtype=np.int32)
    for row, text in enumerate(smiles):
        try:
            groups[row] = numbers.setdefault(scaffold(text), len(numbers))
        except UserError:
            continue
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, groups.tobytes())
        except OSError:
            pass  # found again next time
    return groups


def scaffold_split(groups: NDArray[np.integer], train: float = 0.8, validation: float = 0.1) -> Split:
    """Whole scaffolds to training until it is full, to validation until that is, the rest to test; nothing is random.

    The largest scaffold comes first; of equally large ones that whose first molecule comes last.

    Args:
        groups: (N,) number of each molecule's scaffold.

    Source: scaffold_split in chem/splitters.py of Hu et al., "Strategies for Pre-training Graph Neural Networks".
    """
    members = _members(groups)
    members.sort(key=lambda rows: (len(rows), rows[0]), reverse=True)
    most, both = train * len(groups), (train + validation) * len(groups)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for rows in members:
        if len(parts[0]) + len(rows) <= most:
            parts[0].extend(rows)
        elif len(parts[0]) + len(parts[1]) + len(rows) <= both:
            parts[1].extend(rows)
        else:
            parts[2].extend(rows)
    return Split(*(np.array(part, dtype=np.int64) for part in parts))


def random_scaffold_split(
    groups: NDArray[np.integer], generator: torch.Generator, validation: float = 0.1, test: float = 0.1
) -> Split:
    """Scaffolds in random order: each to validation if it still fits, else to test if it fits there, else to training.

    Source: random_scaffold_split in chem/splitters.py of Hu et al.
    """
    members = _members(groups)
    most = int(validation * len(groups)), int(test * len(groups))
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for number in torch.randperm(len(members), generator=generator).tolist():
        rows = members[number]
        if len(parts[1]) + len(rows) <= most[0]:
            parts[1].extend(rows)
        elif len(parts[2]) + len(rows) <= most[1]:
            parts[2].extend(rows)
        else:
            parts[0].extend(rows)
    return Split(*(np.array(sorted(part), dtype=np.int64) for part in parts))


def _members(groups: NDArray[np.integer]) -> list[list[int]]:
    """The molecules of every scaffold, scaffolds as they appear."""
    members: dict[int, list[int]] = {}
    for row, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(row)
    return list(members.values())


def _cache_file(smiles: Sequence[str], version: str) -> Path | None:
    named = os.environ.get("MM_BEYOND_CACHE")
    if named is not None and named.strip().lower() in ("", "off"):
        return None
    folder = Path(named) if named is not None else Path.home() / ".cache" / "mm-beyond"
    digest = hashlib.blake2b("\n".join((version, *smiles)).encode(), digest_size=12).hexdigest()
    return folder / f"scaffolds-{digest}.int32"


def _read(file: Path, count: int) -> NDArray[np.int32] | None:
    try:
        found = np.frombuffer(file.read_bytes(), dtype=np.int32)
    except (OSError, ValueError):
        return None
    return found.copy() if len(found) == count else None
