"""What rdkit knows of a molecule, from SMILES to SMILES."""

from __future__ import annotations

from typing import Any

import torch

from core.errors import MissingPackage, UserError
from mmbio.molecules.smiles import shortened, split_atoms


def rdkit_chem() -> Any:
    """rdkit's module ``Chem``.

    Raises:
        MissingPackage: rdkit is not installed.
    """
    try:
        from rdkit import Chem
    except ImportError as error:
        raise MissingPackage("rdkit", "bio", "reading molecules") from error
    return Chem


def parse(text: str) -> Any:
    """A SMILES string as rdkit's molecule; rdkit itself prints nothing.

    Raises:
        UserError: the string is empty, no SMILES, or a molecule that cannot be (a valence, an aromatic ring), with the reason.
    """
    chem = rdkit_chem()
    from rdkit.rdBase import BlockLogs

    tokens = split_atoms(text)
    with BlockLogs():
        molecule = chem.MolFromSmiles(text)
        if molecule is None:
            raise UserError(f"{shortened(text)} is no molecule: {_reason(chem, text, tokens)}")
    return molecule


def _reason(chem: Any, text: str, tokens: list[str]) -> str:
    raw = chem.MolFromSmiles(text, sanitize=False)
    problems = [] if raw is None else chem.DetectChemistryProblems(raw)
    if problems:
        return " ".join(problems[0].Message().split())
    if tokens.count("(") != tokens.count(")"):
        return f"{tokens.count('(')} branches opened and {tokens.count(')')} closed"
    rings = [token for token in tokens if token.isdigit() or token.startswith("%")]
    odd = sorted({ring for ring in rings if rings.count(ring) % 2})
    return f"ring {odd[0]} is opened and not closed" if odd else "its syntax is wrong"


def canonical(text: str, stereo: bool = True) -> str:
    """The one spelling that rdkit gives every molecule; errors as :func:`parse`.

    Args:
        stereo: keep what tells mirror images, sides of double bonds and isotopes; without it different ones read alike.
    """
    return rdkit_chem().MolToSmiles(parse(text), isomericSmiles=stereo)


def randomise(text: str, generator: torch.Generator) -> str:
    """Another spelling of the same molecule: atoms in an order drawn from the generator; errors as :func:`parse`.

    A function of the text and of the generator alone; rdkit's own random state is not touched.

    Source: Bjerrum, "SMILES Enumeration as Data Augmentation for Neural Network Modeling of Molecules", Section 2.1.
    """
    molecule = parse(text)
    order = torch.randperm(molecule.GetNumAtoms(), generator=generator).tolist()
    chem = rdkit_chem()
    return chem.MolToSmiles(chem.RenumberAtoms(molecule, order), canonical=False)


def fragments(text: str) -> list[str]:
    """The parts of a molecule that no bond joins (a salt's ions, say), canonical, in the order of their first atoms; errors
    as :func:`parse`."""
    chem = rdkit_chem()
    return [chem.MolToSmiles(part) for part in chem.GetMolFrags(parse(text), asMols=True)]
