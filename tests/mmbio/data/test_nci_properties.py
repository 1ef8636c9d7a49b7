"""The built-in molecules with labels."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")

from mmbio.data.sources import load
from mmbio.molecules.properties import properties
from mmbio.molecules.scaffold import scaffold_groups


def test_values_of_known_molecules() -> None:
    ethanol, benzene = properties(["CCO", "c1ccccc1"])
    assert ethanol[0] == pytest.approx(-0.0014)
    assert ethanol[1] == pytest.approx(20.23)
    assert benzene[:2].tolist() == pytest.approx([1.6866, 0])
    assert 0 < ethanol[2] < 1


def test_the_set_has_whole_scaffolds_in_one_part_each() -> None:
    data = load("nci_properties")
    assert len(data) == len(load("nci"))
    assert np.isfinite(data.labels).all()
    assert abs(len(data.train) / len(data) - 0.8) < 0.01
    groups = scaffold_groups(data.texts)
    assert not set(groups[data.train]) & set(groups[data.test])
    assert not set(groups[data.train]) & set(groups[data.validation])
