"""Any table as labelled sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from mmbio.data.sets import LabelledSequences, SequenceSet
from mmbio.data.sources import load, load_texts

TEXT = """\
name,seq,fit,other,place,set,ss
a,mkvl,1,0.5,in,train,CCHH
b,GGSS*,2,,out,train,EEEE
c,AAAA,3,0.25,in,val,HHHC
d,CCCC,,,,test,
e,KKKK,5,1,out,test,CCCC
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "a,b.csv").write_text(TEXT)
    return tmp_path / "a,b.csv"


def labelled(word: str) -> LabelledSequences:
    data = load(word)
    assert isinstance(data, LabelledSequences)
    return data


def test_values(table: Path) -> None:
    data = labelled(f"csv:{table},text=seq,label=fit,label=other,split=set,task=values")
    assert data.texts == ("MKVL", "GGSS", "AAAA", "KKKK")
    np.testing.assert_array_equal(data.labels, [[1, 0.5], [2, np.nan], [3, 0.25], [5, 1]])
    assert data.classes == ("fit", "other")
    assert [part.tolist() for part in (data.train, data.validation, data.test)] == [[0, 1], [2], [3]]
    assert data.skipped == (f"{table}, line 5: no label",)
    assert data.called(3) == "line 6"


def test_classes_and_residues(table: Path) -> None:
    data = labelled(f"csv:{table},text=seq,label=place,split=set,task=classes")
    assert data.classes == ("in", "out")
    assert data.labels.tolist() == [0, 1, 0, 1]
    data = labelled(f"csv:{table},text=seq,label=ss,split=set,task=residues")
    assert data.classes == ("C", "E", "H")
    assert [label.tolist() for label in data.labels] == [[0, 0, 2, 2], [1] * 4, [2, 2, 2, 0], [0] * 4]


def test_equal_sequences_in_two_parts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sequence,y,set\nMKV,1,train\nMKV,1,test\nGGG,1,val\nAAA,2,train\nGGG,1,train\n")
    word = f"csv:{tmp_path / 'a.csv'},label=y,task=values,split=set"
    data = labelled(word)
    assert [part.tolist() for part in (data.train, data.validation, data.test)] == [[3], [2], [1]]
    assert data.skipped[0].endswith("2 of train and 0 of validation, whose texts are in a later part")
    assert load_texts(word).texts == ("AAA", "GGG")


BAD_ROWS = """\
sequence,y,set,z
MKV,1,train,HHH
M1V,1,train,HHH
AAA,high,train,HHH
,1,train,HHH
GGG,2,vall,HHH
CCC,3,val,HHH
KKK,4,test,HHH
LLL,,test,HH
"""


def test_bad_rows_are_counted_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(BAD_ROWS)
    word = f"csv:{tmp_path / 'a.csv'},label=y,task=values,split=set"
    with pytest.raises(UserError, match="line 3, sequence: character '1'"):
        load(word)
    data = labelled(f"{word},bad=skip")
    assert data.texts == ("MKV", "CCC", "KKK")
    assert [line.split(", line ")[1].split(":")[0].split(",")[0] for line in data.skipped] == ["3", "4", "5", "6", "9"]
    some = load(f"csv:{tmp_path / 'a.csv'},bad=skip")
    assert len(some) == 6
    assert len(some.skipped) == 2
    said = labelled(f"csv:{tmp_path / 'a.csv'},label=z,task=residues,split=set,bad=skip").skipped
    assert any("line 9: 2 labels for the 3 residues" in line for line in said)
    with pytest.raises(UserError, match="bad 'keep'; expected bad=skip"):
        load(f"{word},bad=keep")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("MKV,1\n", "no sequences in its train part"),
        ("MKV,nan\nAAA,\n", r"no sequences; 2 records were left out, the first: .*a\.csv, line 2: no label"),
        ("MKV,1\nMKV,1\nMKV,1\n", "no sequences in its validation part"),
    ],
)
def test_too_few_rows(tmp_path: Path, rows: str, said: str) -> None:
    (tmp_path / "a.csv").write_text("sequence,y\n" + rows)
    for task in ("values", "classes"):
        with pytest.raises(UserError, match=said):
            load(f"csv:{tmp_path / 'a.csv'},label=y,task={task}")


def test_what_is_no_molecule(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    (tmp_path / "m.csv").write_text("smiles,a\nCCO,1\nC1CC,0\nCC(,1\nOCC,0\n")
    word = f"csv:{tmp_path / 'm.csv'},text=smiles,kind=molecule"
    with pytest.raises(UserError, match=r"m\.csv, line 3, smiles: 'C1CC' is no molecule: ring 1"):
        load(word)
    data = load(f"{word},bad=skip")
    assert data.texts == ("CCO", "OCC")  # as they are spelled
    assert len(data.skipped) == 2


def test_binary_of_molecules(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    (tmp_path / "m.csv").write_text("smiles,a,b\n" + "".join(f"{'C' * n},{n % 2},\n" for n in range(1, 31)))
    data = labelled(f"csv:{tmp_path / 'm.csv'},text=smiles,label=a,label=b,task=binary,kind=molecule")
    assert data.kind == "molecule"
    assert data.labels.shape == (30, 2)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [24, 3, 3]


def test_without_labels(table: Path) -> None:
    data = load(f"csv:{table},text=seq")
    assert isinstance(data, SequenceSet)
    assert len(data) == 5
    assert load_texts(f"csv:{table},text=seq,label=fit,split=set,task=values").held_out == (2,)


def test_validation_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sequence,target,set,validation\nA,1,train,\nC,1,train,True\nD,1,test,\n")
    data = labelled(f"csv:{tmp_path / 'a.csv'},label=target,split=set,validation=validation,task=values")
    assert [part.tolist() for part in (data.train, data.validation, data.test)] == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("text=seqs", r"no column 'seqs'; did you mean 'seq'\?"),
        ("texts=seq", r"unknown key 'texts'; did you mean 'text'\?"),
        ("text=seq,label=place,task=values", r"line 2: place 'in'; expected a number"),
        ("text=seq,label=fit,task=binary", r"line 3: fit '2'; expected 0, 1 or nothing"),
        ("text=seq,label=fit", "Add task="),
        ("text=seq,task=values", "Add label=COLUMN"),
        ("text=seq,label=fit,task=numbers", "expected one of classes, values, binary, residues"),
        ("text=fit", r"line 2, fit: character '1' at place 1 is no residue"),
        ("text=other", r"line 2, other: character '0'"),
        ("text=place", r"line 5, place: is empty"),
        ("text=seq,label=fit,task=values,split=place", r"line 2: part 'in'; expected train"),
        ("text=seq,label=place,task=residues", "line 2: 2 labels for the 4 residues"),
        ("text=seq,label=fit,label=other,task=classes", "has one column of labels"),
        ("text=", "text has no value"),
    ],
)
def test_bad_words(table: Path, options: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(f"csv:{table},{options}")
