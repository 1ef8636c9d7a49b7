"""Proteins with known structures, to fit and score contacts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from mmbio.data.arrays import read_arrays
from mmbio.data.sets import because
from mmbio.proteins.alphabet import clean
from mmbio.proteins.clusters import cluster
from mmbio.proteins.structures import ENDINGS, read_chains, virtual_beta


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
                f"{self.name}: {len(self.texts)} structure(s), {len(set(self.texts))} different sequence(s); expected one to "
                f"fit on and one to score at least{because(self.skipped)}"
            )

        for what, part in (("fit on", self.fit), ("score", self.scored)):
            if not any(np.isfinite(self.betas[i]).all(1).any() for i in part):
                raise UserError(f"{self.name}: of no structure to {what} the place of any residue is known")

    def __len__(self) -> int:
        return len(self.texts)


def structures(path: str) -> StructureSet:
    """Structures of an ``.npz``, of one PDB or mmCIF file, or of all in a folder.

    The ``.npz`` holds ``seq`` (N,) texts, ``xyz`` (residues, atoms, 3) in angstrom with N, CA and C first, ``offset``
    (N + 1,) whole numbers, and if it likes ``pdb`` (N,) names and ``partition`` (N,) words: those with ``test`` in it are
    scored, the others may be fitted on, but for those whose sequence is scored. Without, those of every fourth cluster
    (:func:`~mmbio.proteins.clusters.cluster`) are there to be fitted on. What is left out is counted.

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
    return divided(
        path,
        [_cleaned(chain.text, f"{path}: {chain.name}") for chain in chains],
        [c.name for c in chains],
        [c.beta for c in chains],
    )


def _npz(path: Path) -> StructureSet:
    arrays = read_arrays(path, ("seq", "xyz", "offset"), ("seq", "pdb", "partition"))
    texts, xyz, offset = arrays["seq"], arrays["xyz"], arrays["offset"]
    if xyz.ndim != 3 or xyz.shape[1] < 3 or xyz.shape[2] != 3 or xyz.dtype.kind != "f":
        raise UserError(f"{path}: xyz is {xyz.dtype} {xyz.shape}; expected (residues, atoms N CA C ..., 3) in angstrom")
    if offset.ndim != 1 or offset.dtype.kind not in "iu":
        raise UserError(f"{path}: offset is {offset.dtype} {offset.shape}; expected whole numbers (N + 1,)")
    ends = offset.astype(np.int64)
    if len(ends) != len(texts) + 1 or ends[0] != 0 or ends[-1] != len(xyz) or (np.diff(ends) < 0).any():
        raise UserError(f"{path}: offset does not cut {len(xyz)} residues into {len(texts)} sequences")
    names = [str(name) for name in arrays["pdb"]] if "pdb" in arrays else [f"structure {i}" for i in range(len(texts))]
    beta = virtual_beta(*(xyz[:, atom].astype(np.float64) for atom in range(3)))
    betas = [beta[begin:end] for begin, end in pairwise(offset.tolist())]
    partition = arrays.get("partition")
    given = [_cleaned(str(text), f"{path}: {name}") for text, name in zip(texts, names, strict=True)]
    return divided(str(path), given, names, betas, partition)


def _cleaned(text: str, where: str) -> str:
    try:
        return clean(text)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def divided(
    name: str, texts: list[str], names: list[str], betas: list[NDArray], partition: NDArray | None = None
) -> StructureSet:
    """Structures in two parts, no text of which is in both.

    Args:
        partition: a word each; those with ``test`` in it are scored. Without, those of three in four clusters are.
    """
    skipped = []
    if partition is None:
        group, said = groups(texts)
        tested = [number % 4 != 0 for number in group]
        skipped += [f"{name}: {said}"] if said else []
    else:
        tested = ["test" in str(word) for word in partition]
    apart = {text for text, test in zip(texts, tested, strict=True) if test}
    chosen = [i for i, test in enumerate(tested) if test or texts[i] not in apart]
    if len(chosen) < len(texts):
        skipped.append(f"{name}: {len(texts) - len(chosen)} to fit on, whose sequences are scored")
    return StructureSet(
        name,
        tuple(texts[i] for i in chosen),
        tuple(names[i] for i in chosen),
        tuple(betas[i] for i in chosen),
        tuple(number for number, i in enumerate(chosen) if not tested[i]),
        tuple(number for number, i in enumerate(chosen) if tested[i]),
        tuple(skipped),
    )


CLUSTERED = 5000
"""Of more structures than these only equal sequences are kept together, as clusters would take too much memory."""


def groups(texts: list[str]) -> tuple[list[int], str]:
    """For every sequence the number of its cluster as they appear, and what is to be said where clusters cannot be had.

    Where all are of one cluster, the chains of antibodies say, the groups are those of equal sequences.
    """
    first: dict[str, int] = {}
    same = [(first.setdefault(text, i), i) for i, text in enumerate(texts)]
    found, said = [a for a, _ in same], ""
    if len(texts) <= CLUSTERED:
        clusters = cluster(texts, same).tolist()
        if len(set(clusters)) > 1:
            found = clusters
        elif len(first) > 1:
            said = "all sequences are similar; those that are fitted on and those that are scored are not equal, but similar"
    else:
        said = f"more than {CLUSTERED} structures; sequences to fit on are not equal to scored ones, but may be similar"
    numbers: dict[int, int] = {}
    return [numbers.setdefault(number, len(numbers)) for number in found], said
