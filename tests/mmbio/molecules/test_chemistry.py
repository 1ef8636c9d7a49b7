"""Molecules by rdkit: reasons in one line, the same molecule in other words, fingerprints."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import MissingPackage, UserError
from core.random import generator
from mmbio.data.smiles import nci
from mmbio.molecules import chemistry
from mmbio.molecules.chemistry import canonical, fragments, parse, randomise
from mmbio.molecules.fingerprints import morgan_fingerprints

pytest.importorskip("rdkit")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "an empty string"),
        ("CC(C", "1 branches opened and 0 closed"),
        ("C1CC", "ring 1 is opened and not closed"),
        ("c1cccc1", "Can't kekulize"),
        ("C(C)(C)(C)(C)C", "valence for atom # 0 C, 5, is greater than permitted"),
        ("C[Xx]", "'C.Xx.' is no molecule: its syntax is wrong"),
        ("CC name", "character ' ' at place 3"),
    ],
)
def test_reasons(text: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=reason) as raised:
        parse(text)
    assert "\n" not in str(raised.value)
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def test_without_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rdkit", None)
    with pytest.raises(MissingPackage, match=r"pip install 'mm-beyond\[bio\]'"):
        chemistry.canonical("CCO")


def test_other_spellings_are_the_same_molecule() -> None:
    texts = nci().texts[::12]
    spelled = [randomise(text, generator(number)) for number, text in enumerate(texts)]
    assert [canonical(text) for text in spelled] == [canonical(text) for text in texts]
    assert sum(a != b for a, b in zip(spelled, texts, strict=True)) > 0.95 * len(texts)


def test_stereo_chemistry_is_kept() -> None:
    for text in ("C[C@@H](N)C(=O)O", "F/C=C\\Cl", "C[C@H]1CC[C@@H](O)CC1"):
        found = {canonical(randomise(text, generator(number))) for number in range(20)}
        assert found == {canonical(text)}
    assert canonical("C[C@@H](N)C(=O)O") != canonical("C[C@H](N)C(=O)O")


def test_spellings_are_drawn_from_the_generator_alone() -> None:
    text = "CC(=O)Oc1ccccc1C(=O)O"
    drawn = [randomise(text, generator(number)) for number in range(10)]
    assert drawn == [randomise(text, generator(number)) for number in range(10)]
    assert len(set(drawn)) > 5


def test_fragments() -> None:
    assert fragments("[Na+].CC(=O)[O-]") == ["[Na+]", "CC(=O)[O-]"]
    assert fragments("OCC") == ["CCO"]


def test_fingerprints() -> None:
    found = morgan_fingerprints(["CCO", "OCC", "c1ccccc1", "C"], bits=512)
    assert found.shape == (4, 512)
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {0, 1}
    assert np.array_equal(found[0], found[1])
    assert found.sum(1).tolist() == [6, 6, 3, 1]  # environments of ethanol, of benzene, of one atom
    assert morgan_fingerprints([]).shape == (0, 2048)
    with pytest.raises(UserError, match="ring 1"):
        morgan_fingerprints(["CCO", "C1C"])
