"""Properties of molecules that are computed from their structure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmbio.molecules.chemistry import parse, rdkit_chem

PROPERTIES = ("logP", "TPSA", "QED")
"""Crippen's octanol-water partition coefficient, topological polar surface area (square angstrom), drug-likeness."""


def properties(smiles: Sequence[str]) -> NDArray[np.float64]:
    """The :data:`PROPERTIES` of molecules by rdkit, computed and not measured: (N, 3).

    Raises:
        UserError: a string that is no molecule.
    """
    rdkit_chem()
    from rdkit.Chem.Crippen import MolLogP  # type: ignore[attr-defined]
    from rdkit.Chem.QED import qed
    from rdkit.Chem.rdMolDescriptors import CalcTPSA
    from rdkit.rdBase import BlockLogs

    found = np.empty((len(smiles), len(PROPERTIES)))
    with BlockLogs():
        for row, text in enumerate(smiles):
            molecule = parse(text)
            found[row] = MolLogP(molecule), CalcTPSA(molecule), qed(molecule)
    return found
