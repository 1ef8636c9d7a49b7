"""Scaffold splits: the field's rule by brute force, whole scaffolds, chirality, the cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.random import generator
from mmbio.molecules import scaffold as module
from mmbio.molecules.scaffold import random_scaffold_split, scaffold, scaffold_groups, scaffold_split

pytest.importorskip("rdkit")


def test_scaffolds() -> None:
    assert scaffold("Cc1cc(Oc2nccc(CCC)c2)ccc1") == "c1ccc(Oc2ccccn2)cc1"
    assert scaffold("CCO") == ""
    assert scaffold("CC1CC[C@H]2CCCC[C@@H]2C1") != scaffold("CC1CC[C@H]2CCCC[C@H]2C1")  # decalins
    with pytest.raises(UserError, match="ring 1"):
        scaffold("C1CC")


def test_groups() -> None:
    assert scaffold_groups(["CCO", "c1ccccc1C", "C1C", "CCN", "c1ccccc1", "C1CC1"]).tolist() == [0, 1, -1, 0, 1, 2]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60))
def test_the_rule_by_counting(groups: list[int]) -> None:
    """Largest first, of equal ones the one whose first molecule is later; each goes where it still fits."""
    by_size = sorted({g: groups.index(g) for g in groups}.items(), key=lambda item: (-groups.count(item[0]), -item[1]))
    train: list[int] = []
    validation: list[int] = []
    test: list[int] = []
    for group, _ in by_size:
        rows = [i for i, g in enumerate(groups) if g == group]
        if len(train) + len(rows) <= 0.8 * len(groups):
            train += rows
        elif len(train) + len(validation) + len(rows) <= (0.8 + 0.1) * len(groups):
            validation += rows
        else:
            test += rows
    found = scaffold_split(np.array(groups))
    assert [part.tolist() for part in found] == [train, validation, test]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(0, 3))
def test_random_scaffolds_stay_whole(groups: list[int], seed: int) -> None:
    found = random_scaffold_split(np.array(groups), generator(seed))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(groups)))
    assert len(found.validation) <= 0.1 * len(groups)
    assert len(found.test) <= 0.1 * len(groups)
    parts = [{groups[i] for i in part} for part in found]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    again = random_scaffold_split(np.array(groups), generator(seed))
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))


def test_many_scaffolds_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHED_FROM", 3)
    monkeypatch.setenv("MM_BEYOND_CACHE", str(tmp_path / "cache"))
    texts = ["CCO", "c1ccccc1C", "C1C"]
    found = scaffold_groups(texts)
    (file,) = (tmp_path / "cache").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(module, "scaffold", lambda text: pytest.fail("found again"))
        assert scaffold_groups(texts).tolist() == found.tolist() == [0, 1, -1]
    file.write_bytes(b"half")
    assert scaffold_groups(texts).tolist() == found.tolist()
    assert len(file.read_bytes()) == 12
    monkeypatch.setenv("MM_BEYOND_CACHE", "off")
    file.unlink()
    scaffold_groups(texts)
    assert not file.exists()
