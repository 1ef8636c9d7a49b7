"""MoleculeNet: columns, labels, scaffold splits, what is left out, and files that cannot be used."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit.Chem import MolFromSmiles, MolToSmiles
from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

from core.errors import UserError
from mmbio.data.moleculenet import moleculenet
from mmbio.data.sources import load

SIZES = {
    "bbbp": (2039, "binary", 1, (0, 0)),
    "bace": (1513, "binary", 1, (8, 1)),
    "clintox": (1478, "binary", 2, (1, 0)),
    "sider": (1427, "binary", 27, (0, 0)),
    "delaney": (1128, "values", 1, (0, 0)),
    "freesolv": (642, "values", 1, (0, 0)),
    "lipo": (4200, "values", 1, (9, 0)),
}
"""Molecules, task, columns, and those that are taken out of train and validation as they are in a later part."""


@pytest.mark.parametrize("name", SIZES)
def test_sets(shared: Path, name: str) -> None:
    data = load(f"moleculenet:{shared / 'data/moleculenet' / f'{name}.csv.gz'}")
    count, task, columns, lost = SIZES[name]
    said = [line for line in data.skipped if "later part" in line]
    skipped = len(data.skipped) - len(said)
    assert (len(data) + skipped, data.task, data.labels.shape[1]) == (count, task, columns)
    assert said == (
        [f"{name}: {lost[0]} of train and {lost[1]} of validation, whose texts are in a later part"] * any(lost)
    )
    assert len(data.classes) == columns
    assert data.kind == "molecule"
    parts = [len(part) for part in (data.train, data.validation, data.test)]
    assert sum(parts) == len(data) - sum(lost)
    texts = [{data.texts[i] for i in part} for part in (data.train, data.validation, data.test)]
    assert len(texts[0] | texts[1] | texts[2]) == sum(map(len, texts))
    assert [part / len(data) for part in parts] == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    if task == "binary":
        assert set(np.unique(data.labels[~np.isnan(data.labels)])) == {0, 1}


def test_split_of_bbbp_is_that_of_the_field(shared: Path) -> None:
    """Scaffolds straight from rdkit, counted by a dictionary of strings."""
    file = shared / "data/moleculenet/bbbp.csv.gz"
    with gzip.open(file, "rt") as lines:
        texts = [row[0] for row in csv.reader(lines)][1:]
    groups: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        groups.setdefault(MurckoScaffoldSmiles(smiles=text, includeChirality=True), []).append(number)
    train: list[int] = []
    validation: list[int] = []
    test: list[int] = []
    for rows in sorted(groups.values(), key=lambda rows: (len(rows), rows[0]), reverse=True):
        full = len(train) + len(rows) > 0.8 * len(texts)
        (train if not full else validation if len(train + validation + rows) <= 0.9 * len(texts) else test).extend(rows)
    data = moleculenet(str(file), respell=False)
    assert not data.skipped
    assert data.texts == tuple(texts)
    respelled = moleculenet(str(file))
    assert respelled.train.tolist() == data.train.tolist()
    assert not any("@" in text or "/" in text for text in respelled.texts)
    assert respelled.texts[0] == MolToSmiles(MolFromSmiles(texts[0]), isomericSmiles=False)
    assert [data.train.tolist(), data.validation.tolist(), data.test.tolist()] == [train, validation, test]


def test_random_scaffolds(shared: Path) -> None:
    file = str(shared / "data/moleculenet/freesolv.csv.gz")
    first, again, other = (moleculenet(file, random_seed=seed) for seed in (0, 0, 1))
    assert first.test.tolist() == again.test.tolist() != other.test.tolist()


def test_molecules_that_rdkit_cannot_read_are_counted(shared: Path) -> None:
    data = moleculenet(str(shared / "data/moleculenet/tox21.csv.gz"))
    *skipped, leaks = data.skipped
    assert len(data) + len(skipped) == 7831
    assert 0 < len(skipped) < 20  # three of old versions of rdkit, more of those that are strict about aluminium
    assert all("tox21.csv.gz, line " in said for said in skipped)
    assert leaks == "tox21: 10 of train and 4 of validation, whose texts are in a later part"
    assert data.classes[0] == "NR-AR"
    assert np.isnan(data.labels).mean() == pytest.approx(0.171, abs=0.01)


def test_headings_that_are_there_twice(shared: Path) -> None:
    with gzip.open(shared / "data/moleculenet/qm8.csv.gz", "rt") as lines:
        heading = next(csv.reader(lines))
    assert len(heading) == 17
    assert len(set(heading[1:])) == 12


def small(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return f"moleculenet:{folder / name}"


RINGS = ["C1CC1", "C1CCC1", "C1CCCC1", "C1CCCCC1", "C1CCCCCC1", "c1ccccc1", "c1ccncc1", "c1ccsc1", "c1ccoc1", "CCO"]


def test_missing_labels_single_atoms_and_fragments(tmp_path: Path) -> None:
    rows = [f"{ring},{number % 2 if number else ''},1.0" for number, ring in enumerate(RINGS)]
    rows += ["C,1,0", "[Na+].[Cl-],0,nan", "C1C,1,1"]
    data = load(small(tmp_path, "clintox.csv", "\n".join(["smiles,FDA_APPROVED,CT_TOX", *rows])))
    assert data.texts[-2:] == ("C", "[Cl-].[Na+]")
    assert load(f"moleculenet_as_is:{tmp_path / 'clintox.csv'}").texts[-1] == "[Na+].[Cl-]"
    assert np.isnan(data.labels[0, 0])
    assert np.isnan(data.labels[-1, 1])
    assert data.labels[-2].tolist() == [1, 0]
    (said,) = data.skipped
    assert "clintox.csv, line 14: 'C1C' is no molecule: ring 1" in said


def test_bad_labels_are_counted_if_asked(tmp_path: Path) -> None:
    rows = [f"{ring},{number % 2}" for number, ring in enumerate(RINGS)]
    word = small(tmp_path, "bbbp.csv", "\n".join(["smiles,p_np", *rows, "CCN,2", "C1C,1", "CCCN,yes", "CCCC,1"]))
    data = load(word.replace("moleculenet:", "moleculenet_skip:"))
    assert data.texts[-1] == "CCCC"
    assert len(data) == len(RINGS) + 1
    assert [said.split("bbbp.csv, ")[1].split(";")[0] for said in data.skipped] == [
        "line 12: p_np '2'",
        "line 13: 'C1C' is no molecule: ring 1 is opened and not closed",
        "line 14: p_np 'yes'",
    ]
    with pytest.raises(UserError, match=r"bbbp.csv, line 12: p_np '2'; expected 0, 1 or nothing"):
        load(word)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("bbp.csv", "smiles,p_np\nC,1\n", "did you mean 'bbbp'"),
        ("bbbp.csv", "smiles,label\nC,1\n", "no column p_np; there are smiles, label"),
        ("bbbp.csv", "text,p_np\nC,1\n", "no column 'smiles'"),
        ("bbbp.csv", "smiles,p_np\nC,2\n", "bbbp.csv, line 2: p_np '2'; expected 0, 1 or nothing"),
        ("lipo.csv", "smiles,exp\nC,1\nCC,high\n", "lipo.csv, line 3: exp 'high'; expected a number"),
        ("lipo.csv", "smiles,exp\nC,inf\n", "lipo.csv, line 2: exp 'inf'; expected a number"),
        ("hiv.csv", "smiles,HIV_active\nC1C,1\n", "hiv: no sequences; 1 records were left out"),
        ("hiv.csv", "smiles,HIV_active\nCC,1\n", "no sequences in its"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(small(tmp_path, name, text))
