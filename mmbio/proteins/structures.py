"""Coordinates of proteins: beta carbons, contacts, and files of structures."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import MissingPackage, UserError

CONTACT = 8.0
"""Angstrom between two beta carbons below which residues are in contact."""

ENDINGS = (".cif", ".cif.gz", ".pdb", ".pdb.gz", ".ent", ".ent.gz")


class Chain(NamedTuple):
    """A chain: letters of its residues, and their beta carbons (L, 3) in angstrom, NaN where they cannot be told."""

    name: str
    text: str
    beta: NDArray[np.floating]


def virtual_beta(n: NDArray, ca: NDArray, c: NDArray) -> NDArray:
    """Where the beta carbon is by the ideal geometry of the backbone: (..., 3) each, angstrom, -> (..., 3).

    Glycine, which has none, is given one like every other residue.

    Source: Dauparas et al., "Robust deep learning-based protein sequence design using ProteinMPNN", whose constants these are.
    """
    b, d = ca - n, c - ca
    return ca - 0.58273431 * np.cross(b, d) + 0.56802827 * b - 0.54067466 * d


def contacts(beta: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which residues are in contact, and of which pairs that is known: two (L, L) bool."""
    known = np.isfinite(beta).all(1)
    near = np.nan_to_num(beta, nan=1e6)
    distance = np.linalg.norm(near[:, None] - near[None], axis=-1)
    both = known[:, None] & known[None]
    return (distance < CONTACT) & both, both


def read_chains(path: str | Path) -> list[Chain]:
    """The protein chains of the first model of a PDB or mmCIF file; residues that were not observed are not among them.

    Raises:
        MissingPackage: gemmi is not installed.
        UserError: the file cannot be read, or has no protein chain.
    """
    try:
        import gemmi
    except ImportError as error:
        raise MissingPackage("gemmi", "bio", "Reading PDB and mmCIF files") from error
    try:
        structure = gemmi.read_structure(str(path))
        structure.setup_entities()
    except (RuntimeError, ValueError, OSError, IndexError, EOFError) as error:
        raise UserError(f"{path}: not readable as a PDB or mmCIF file ({' '.join(str(error).split())})") from error
    found = []
    for chain in structure[0] if len(structure) else []:
        residues = [r for r in chain.get_polymer() if gemmi.find_tabulated_residue(r.name).is_amino_acid()]
        if residues:
            letters = gemmi.one_letter_code([residue.name for residue in residues]).upper()
            beta = np.array([_beta(residue) for residue in residues])
            found.append(Chain(f"{Path(path).name.split('.')[0]}_{chain.name}", letters, beta))
    if not found:
        raise UserError(f"{path}: no protein chain in it")
    return found


def _beta(residue: object) -> NDArray:
    """The beta carbon of gemmi's residue, observed or by the backbone's geometry; NaN where neither can be had."""
    atoms: dict[str, NDArray] = {}
    for atom in residue:  # type: ignore[attr-defined]
        atoms.setdefault(atom.name, np.array(atom.pos.tolist()))  # of alternatives the first
    if "CB" in atoms:
        return atoms["CB"]
    if atoms.keys() >= {"N", "CA", "C"}:
        return virtual_beta(atoms["N"], atoms["CA"], atoms["C"])
    return np.full(3, np.nan)
