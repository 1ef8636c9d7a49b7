"""FLIP in its public layout: tiny trees, and the real files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from mmbio.data.sources import load

FILES = {
    "sequences.fasta": ">a x\nMKVL\n>b\nGGUXS\n>c\nAAA\n>d\nKK\n",
    "sampled.fasta": ">a SET=train VALIDATION=False\nCCHH\n>b SET=train VALIDATION=True\nEEEEC\n"
    ">c SET=test VALIDATION=False\nHHH\n",
    "mask.fasta": ">a\n0111\n>b\n11111\n>c\n111\n",
    "from_publication.fasta": ">a SET=train VALIDATION=False\n0124\n>b SET=train VALIDATION=True\n00007\n"
    ">c SET=test VALIDATION=False\n310\n>a SET=train VALIDATION=False\n0124\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "splits").mkdir()
    for name, text in FILES.items():
        (tmp_path / "splits" / name).write_bytes(text.replace("\n", "\r\n").encode())
    return tmp_path


def test_secondary_structure(folder: Path) -> None:
    data = load(f"flip_ss:{folder}")
    assert data.texts == ("MKVL", "GGUXS", "AAA")
    assert [label.tolist() for label in data.labels] == [[-1, 0, 2, 2], [1, 1, 1, 1, 0], [2, 2, 2]]
    assert [part.tolist() for part in (data.train, data.validation, data.test)] == [[0], [1], [2]]
    assert load(f"flip_ss_all:{folder / 'splits'}").labels[0].tolist() == [0, 0, 2, 2]


def test_packed_files(folder: Path) -> None:
    plain = load(f"flip_ss:{folder}")
    for name in ("sequences", "sampled", "mask"):
        file = folder / f"splits/{name}.fasta"
        file.with_name(f"{name}.fasta.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    packed = load(f"flip_ss:{folder}")
    assert [label.tolist() for label in packed.labels] == [label.tolist() for label in plain.labels]
    assert (packed.labels[0] == -1).any()


def test_a_sequence_under_two_names_is_in_the_last_part(folder: Path) -> None:
    file = folder / "splits/sequences.fasta"
    file.write_text(file.read_text() + ">e\nMKVL\n")
    split = folder / "splits/sampled.fasta"
    split.write_text(split.read_text() + ">e SET=test VALIDATION=False\nCCHH\n>d SET=train VALIDATION=False\nCC\n")
    data = load(f"flip_ss:{folder}")
    assert [data.names[i] for i in data.train] == ["d"]
    assert [data.names[i] for i in data.test] == ["c", "e"]
    assert data.skipped == (f"{folder}: 1 of train and 0 of validation, whose texts are in a later part",)


def test_binding(folder: Path) -> None:
    (folder / "splits/mask.fasta").unlink()
    found = {
        word: [label.tolist() for label in load(f"{word}:{folder}").labels]
        for word in ("flip_bind", "flip_bind_metal", "flip_bind_nucleic", "flip_bind_small")
    }
    assert found["flip_bind"] == [[0, 1, 1, 1], [0, 0, 0, 0, 1], [1, 1, 0]]
    assert found["flip_bind_metal"] == [[0, 1, 0, 0], [0, 0, 0, 0, 1], [1, 1, 0]]
    assert found["flip_bind_nucleic"] == [[0, 0, 1, 0], [0, 0, 0, 0, 1], [1, 0, 0]]
    assert found["flip_bind_small"] == [[0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0]]


def test_a_record_in_two_parts_is_in_the_last(folder: Path) -> None:
    file = folder / "splits/from_publication.fasta"
    file.write_text(
        ">a SET=train VALIDATION=False\n0000\n>a SET=test VALIDATION=False\n0000\n"
        ">a SET=train VALIDATION=True\n0000\n>b SET=train VALIDATION=False\n00001\n>c SET=train VALIDATION=True\n001\n"
    )
    data = load(f"flip_bind:{file}")
    assert data.names == ("a", "b", "c")
    assert [part.tolist() for part in (data.train, data.validation, data.test)] == [[1], [2], [0]]


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "sampled.fasta",
            "CCHH",
            "CCHG",
            r"sampled.fasta, line 2: label 'G' of a at place 4; expected classes C, E, H",
        ),
        ("sampled.fasta", "CCHH", "CCH", r"mask.fasta, line 1: the mask of a; expected 3 of 0 and 1"),
        ("sampled.fasta", "HHH\n", "HH\n", r"the mask of c"),
        ("sampled.fasta", "SET=test", "SET=tset", r"line 5: 'c SET=tset VALIDATION=False'; expected SET=train"),
        ("sampled.fasta", ">c", ">z", r"line 5: 'z' is not in .*sequences.fasta"),
        ("sequences.fasta", "AAA", "A1A", r"sequences.fasta, line 6: c: character '1' at place 2"),
        ("sequences.fasta", "AAA", "AAAA", r"sampled.fasta, line 5: 3 labels for the 4 residues of c"),
    ],
)
def test_bad_files(folder: Path, file: str, old: str, new: str, said: str) -> None:
    (folder / "splits" / file).write_text(FILES[file].replace(old, new))
    with pytest.raises(UserError, match=said):
        load(f"flip_ss:{folder}")


TWICE = {
    "sequences.fasta": (">a again\nmkvl\n", ">a again\nMKVV\n"),
    "mask.fasta": (">a\n0111\n", ">a\n1111\n"),
    "sampled.fasta": (">a SET=train VALIDATION=False\nCCHH\n", ">a SET=train VALIDATION=False\nCCHE\n"),
}


@pytest.mark.parametrize("name", TWICE)
def test_a_name_stands_for_one_thing(folder: Path, name: str) -> None:
    file, plain = folder / "splits" / name, load(f"flip_ss:{folder}")
    last = FILES[name].count("\n") + 1
    same, other = TWICE[name]
    file.write_text(FILES[name] + same)
    data = load(f"flip_ss:{folder}")
    assert [label.tolist() for label in data.labels] == [label.tolist() for label in plain.labels]
    assert data.skipped == (f"{file}, line {last}: 'a' is there already and says the same ({file}, line 1)",)
    file.write_text(FILES[name] + other)
    said = rf"{name}, line {last}: 'a' is there already and says something else \(.*{name}, line 1\)"
    with pytest.raises(UserError, match=said):
        load(f"flip_ss:{folder}")


def test_missing_files(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: no such file or folder"):
        load(f"flip_conservation:{tmp_path / 'none'}")
    (folder / "splits/sampled.fasta").unlink()
    with pytest.raises(UserError, match=r"sampled.fasta: no such file; there is .*mask.fasta"):
        load(f"flip_ss:{folder}")


@pytest.mark.parametrize(
    ("split", "counts"),
    [
        ("one_vs_rest", (25, 3, 8705)),
        ("two_vs_rest", (381, 43, 8309)),
        ("three_vs_rest", (2691, 299, 5743)),
        ("low_vs_high", (4580, 509, 3644)),
        ("sampled", (6289, 699, 1745)),
    ],
)
def test_real_gb1(shared: Path, split: str, counts: tuple[int, int, int]) -> None:
    data = load(f"flip_gb1:{shared / 'data/proteins/flip/gb1/splits' / split}.csv")
    assert len(data) == 8733
    assert not data.skipped
    assert (len(data.train), len(data.validation), len(data.test)) == counts
    assert np.isfinite(data.labels).all()
    assert {len(text) for text in data.texts} == {265}


def test_real_meltome(shared: Path) -> None:
    data = load(f"flip_meltome:{shared / 'data/proteins/flip/meltome/tasks/full_task.csv'}")
    assert len(data) == 5251
    train, test = ({data.texts[i] for i in part} for part in (data.train, data.test))
    assert not train & test
    assert not train & {data.texts[i] for i in data.validation}


def test_real_residues(shared: Path) -> None:
    folder = shared / "data/proteins/flip"
    data = load(f"flip_ss:{folder / 'secondary_structure'}")
    assert (len(data.train), len(data.validation), len(data.test)) == (9712, 1080, 364)
    assert np.bincount(np.concatenate([data.labels[i] for i in data.train]) + 1).tolist() == [
        159810,
        895628,
        526995,
        897340,
    ]
    data = load(f"flip_bind:{folder / 'bind'}")
    assert (len(data.train), len(data.validation), len(data.test)) == (953, 106, 300)
    assert data.skipped[0].endswith("1 of train and 0 of validation, whose texts are in a later part")
    data = load(f"flip_bind:{folder / 'bind/splits/one_vs_many.fasta'}")
    assert len(data) == 1314
    assert sum("says the same" in said for said in data.skipped) == 46
