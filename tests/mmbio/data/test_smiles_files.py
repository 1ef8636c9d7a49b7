"""Files of SMILES, the built-in molecules and MOSES."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

pytest.importorskip("rdkit")

from core.errors import UserError
from mmbio.data.sources import load, load_texts

GOOD = "CCO ethanol\n\nOCC(=O)O\tglycolic acid\r\nc1ccccc1 benzene\n"


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["some.smi", "some.txt.gz"])
def test_lines(tmp_path: Path, name: str) -> None:
    data = load(f"smiles:{write(tmp_path / name, GOOD)}")
    assert data.texts == ("CCO", "OCC(=O)O", "c1ccccc1")
    assert data.names == ("ethanol", "glycolic acid", "benzene")
    assert data.kind == "molecule"
    assert data.skipped == ()


def test_a_heading_and_lines_without_names(tmp_path: Path) -> None:
    file = write(tmp_path / "some.smi", "SMILES name\nCCO ethanol\nCC\n")
    data = load(f"smiles:{file}")
    assert data.texts == ("CCO", "CC")
    assert data.names == ()


def test_canonical_spelling(tmp_path: Path) -> None:
    file = write(tmp_path / "some.smi", "OCC\nC(C)O\n[Na+].[Cl-]\n")
    assert load(f"smiles_canonical:{file}").texts == ("CCO", "CCO", "[Cl-].[Na+]")
    assert load(f"smiles:{file}").texts[0] == "OCC"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("C1CC", "ring 1 is opened and not closed"),
        ("CC&C", "character '&' at place 3"),
        ("C(C)(C)(C)(C)C", "valence"),
        ("hello", "character 'h' at place 1"),
    ],
)
def test_bad_lines(tmp_path: Path, line: str, reason: str) -> None:
    file = write(tmp_path / "some.smi", f"CCO\n\n{line} bad\nCC\n")
    for layout in ("smiles", "smiles_canonical"):
        with pytest.raises(UserError, match=rf"some\.smi, line 3: .*{reason}"):
            load(f"{layout}:{file}")
        data = load(f"{layout}_skip:{file}")
        assert data.texts == ("CCO", "CC")
        (said,) = data.skipped
        assert "some.smi, line 3: " in said
        assert "\n" not in said


def test_columns(tmp_path: Path) -> None:
    text = 'id,weight,Canonical_SMILES,other\na1,46,CCO,C\na2,60,"CC(=O)O",N\n'
    file = write(tmp_path / "some.csv.gz", text)
    data = load(f"smiles:{file}")
    assert data.texts == ("CCO", "CC(=O)O")
    assert data.names == ("a1", "a2")
    assert load(f"smiles:{file}@other").texts == ("C", "N")
    table = write(tmp_path / "tab@1.tsv", "SMILES\tx\nCC\t1\n")
    assert load(f"smiles:{table}").texts == ("CC",)
    with pytest.raises(UserError, match=r"some\.csv\.gz: no column 'structure'; there are id, weight"):
        load(f"smiles:{file}@structure")
    bare = write(tmp_path / "bare.csv", "a,b\nC,1\n")
    with pytest.raises(UserError, match="no column 'smiles' or 'canonical_smiles' or 'mol'"):
        load(f"smiles:{bare}")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("row.csv", "smiles,x\nCC,1\nCCO\n", "row.csv, line 3: 1 cells; expected 2"),
        ("twice.csv", 'smiles,smiles\n"C', "twice.csv, line 2: 1 cells"),
        ("empty.csv", "", "empty.csv: no rows"),
        ("cell.csv", "smiles,x\n,1\n", "cell.csv, line 2: an empty string"),
        ("none.smi", "\n\n", "none.smi: no sequences"),
        ("other.smi@x", "", "column 'x' of a file without columns"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    write(tmp_path / name.partition("@")[0], text)
    with pytest.raises(UserError, match=message):
        load(f"smiles:{tmp_path / name}")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.smi: cannot be read"):
        load(f"smiles:{tmp_path / 'none.smi'}")


def test_built_in_molecules() -> None:
    data = load("nci")
    assert len(data) + len(data.skipped) == 4999
    assert 0 < len(data.skipped) < 20
    assert all(", line " in said for said in data.skipped)
    assert data.texts[0] == "CC1=CC(=O)C=CC1=O"
    assert data.names[0] == "NCI-1"
    with pytest.raises(UserError, match="takes no path"):
        load("nci:somewhere")


def test_moses(tmp_path: Path) -> None:
    write(tmp_path / "train.csv.gz", "SMILES,SPLIT\nCCO,train\nCCN,train\n")
    with pytest.raises(UserError, match=r"no test\.csv or test\.csv\.gz"):
        load(f"moses:{tmp_path}")
    write(tmp_path / "test.csv", "SMILES,SPLIT\nCCC,test\n")
    data = load_texts(f"moses:{tmp_path}")
    assert data.texts == ("CCO", "CCN", "CCC")
    assert data.held_out == (2,)
    write(tmp_path / "test.csv", "ID,SMILES\n1,C\n2\n")
    with pytest.raises(UserError, match=r"test\.csv, line 3: '2'; expected 2 cells and a molecule"):
        load(f"moses:{tmp_path}")
    write(tmp_path / "train.csv.gz", "mol\nCCO\n")
    with pytest.raises(UserError, match="no column 'SMILES'"):
        load(f"moses:{tmp_path}")


def test_moses_as_it_is(shared: Path) -> None:
    data = load(f"moses:{shared / 'data/moses'}")
    assert len(data) - len(data.held_out) == 1_584_663
    assert len(data.held_out) == 10_000
    assert data.held_out[0] == 1_584_663
    assert data.texts[0] == "CCCS(=O)c1ccc2[nH]c(=NC(=O)OC)[nH]c2c1"
