"""Proteins with known structures, to fit and score contacts."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from mmbio.proteins.alphabet import clean
from mmbio.proteins.structures import ENDINGS, read_chains, virtual_beta

ARRAYS = ("seq", "xyz", "offset")


@dataclass(frozen=True)
class StructureSet:
    """Sequences with the places of their residues.

    Args:
        name: for messages.
        texts: letters of the residues.
        names: one a sequence.
        betas: (L_i, 3) beta carbons in angstrom, NaN where unknown.
        fit: indices of those that a regression may be fitted on.
        scored: indices of those that it is scored on; none in both.
        skipped: what was left out, and why.
    """

    name: str
    texts: tuple[str, ...]
    names: tuple[str, ...]
    betas: tuple[NDArray, ...]
    fit: tuple[int, ...]
    scored: tuple[int, ...]
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, text, beta in zip(self.names, self.texts, self.betas, strict=True):
            if beta.shape != (len(text), 3):
                raise UserError(f"{self.name}: {name} has {len(text)} residues and {len(beta)} places of residues")
        if not self.fit or not self.scored:
            raise UserError(
                f"{self.name}: {len(self.texts)} structure(s); expected one to fit on and one to score at least"
            )

    def __len__(self) -> int:
        return len(self.texts)


def structures(path: str) -> StructureSet:
    """Structures of an ``.npz``, of one PDB or mmCIF file, or of all in a folder.

    The ``.npz`` holds ``seq`` (N,) texts, ``xyz`` (residues, atoms, 3) in angstrom with N, CA and C first, ``offset``
    (N + 1,), and if it likes ``pdb`` (N,) names and ``partition`` (N,) words: those with ``test`` in it are scored, the
    others may be fitted on. Without, every fourth is there to be fitted on.

    Raises:
        UserError: no such file, arrays that are missing or do not fit, letters that are no residues.
        MissingPackage: PDB or mmCIF files, and gemmi is not installed.
    """
    source = Path(path)
    if source.suffix == ".npz":
        return _npz(source)
    files = [source]
    if source.is_dir():
        files = sorted(p for p in source.iterdir() if p.name.endswith(ENDINGS))
        if not files:
            raise UserError(f"{path}: no structure in it; expected names that end in {', '.join(ENDINGS)}")
    elif not source.is_file():
        raise UserError(f"{path}: no such file; expected .npz, PDB or mmCIF")
    chains = [chain for file in files for chain in read_chains(file)]
    return _divided(
        path,
        [_cleaned(chain.text, f"{path}: {chain.name}") for chain in chains],
        [c.name for c in chains],
        [c.beta for c in chains],
    )


def _npz(path: Path) -> StructureSet:
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {key: held[key] for key in held.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not readable as a .npz of plain arrays ({error})") from error
    missing = [key for key in ARRAYS if key not in arrays]
    if missing:
        raise UserError(f"{path}: has no array {missing[0]!r}; expected {', '.join(ARRAYS)}")
    texts, xyz, offset = arrays["seq"], arrays["xyz"], arrays["offset"]
    if xyz.ndim != 3 or xyz.shape[1] < 3 or xyz.shape[2] != 3:
        raise UserError(f"{path}: xyz {xyz.shape}; expected (residues, atoms N CA C ..., 3)")
    if len(offset) != len(texts) + 1 or int(offset[-1]) != len(xyz) or (np.diff(offset) < 0).any():
        raise UserError(f"{path}: offset does not cut {len(xyz)} residues into {len(texts)} sequences")
    names = [str(name) for name in arrays["pdb"]] if "pdb" in arrays else [f"structure {i}" for i in range(len(texts))]
    beta = virtual_beta(*(xyz[:, atom].astype(np.float64) for atom in range(3)))
    betas = [beta[begin:end] for begin, end in pairwise(offset.tolist())]
    partition = arrays.get("partition")
    given = [_cleaned(str(text), f"{path}: {name}") for text, name in zip(texts, names, strict=True)]
    return _divided(str(path), given, names, betas, partition)


def _cleaned(text: str, where: str) -> str:
    try:
        return clean(text)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _divided(
    name: str, texts: list[str], names: list[str], betas: list[NDArray], partition: NDArray | None = None
) -> StructureSet:
    if partition is None:
        tested = [number % 4 != 0 for number in range(len(texts))]
    else:
        tested = ["test" in str(word) for word in partition]
    fit = tuple(number for number, test in enumerate(tested) if not test)
    scored = tuple(number for number, test in enumerate(tested) if test)
    return StructureSet(name, tuple(texts), tuple(names), tuple(betas), fit, scored)
