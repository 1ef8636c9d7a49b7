"""Fingerprints, which every learned feature of molecules is to be read against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmbio.molecules.chemistry import parse, rdkit_chem


def morgan_fingerprints(smiles: Sequence[str], bits: int = 2048, radius: int = 2) -> NDArray[np.uint8]:
    """Which neighbourhoods of up to ``radius`` bonds a molecule has, folded to bits: (N, bits), 0 or 1.

    Raises:
        UserError: a string that is no molecule.

    Source: Rogers and Hahn, "Extended-Connectivity Fingerprints" (radius 2 is ECFP4); stereo chemistry is left out.
    """
    rdkit_chem()
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    made = GetMorganGenerator(radius=radius, fpSize=bits)
    found = np.zeros((len(smiles), bits), dtype=np.uint8)
    for row, text in enumerate(smiles):
        found[row] = made.GetFingerprintAsNumPy(parse(text))
    return found
