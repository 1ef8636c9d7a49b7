"""FASTA files as they come: line ends, blank lines, gzip, folders; and bad ones, each with file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_mmbio import RECIPE, command, random_proteins, write_recipe

from core.errors import UserError
from mmbio.data.fasta import fasta
from mmbio.data.sources import load, load_texts
from mmbio.proteins.alphabet import clean
from mmbio.proteins.fasta import read_fasta


def file(folder: Path, text: str | bytes, name: str = "a.fasta") -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_records_as_they_come(tmp_path: Path) -> None:
    text = "\ufeff; a comment\r\n>one first protein\r\nMKT\r\n\r\nay*\r\n>two\nGG\n A\n>three\nJ*K"
    data = fasta(file(tmp_path, text))
    assert data.texts == ("MKTAY", "GGA", "XXK")
    assert data.names == ("one", "two", "three")
    assert data.kind == "protein"
    lines = [(r.line, r.header) for r in read_fasta(tmp_path / "a.fasta")]
    assert lines == [(2, "one first protein"), (6, "two"), (9, "three")]
    first, second, _ = read_fasta(tmp_path / "a.fasta")
    assert (first.text, [first.at(index) for index in (0, 2, 3, 5)]) == ("MKTay*", [(3, 1), (3, 3), (5, 1), (5, 3)])
    assert (second.text, second.at(2)) == ("GGA", (8, 2))


@given(st.text(alphabet="MKaj*-. \t7ßſıﬁ", min_size=1, max_size=12))
def test_letters_are_kept_one_for_one_or_refused(text: str) -> None:
    visible = "".join(text.split()).rstrip("*")
    bad = [place for place, letter in enumerate(text, 1) if letter in "7ßſıﬁ"]
    if visible and not bad:
        assert len(clean(text)) == len(visible)
        return
    said = f"character {text[bad[0] - 1]!r} at place {bad[0]} is no residue" if bad else "an empty sequence"
    with pytest.raises(UserError, match=said):
        clean(text)


def test_gzip_and_folders(tmp_path: Path) -> None:
    file(tmp_path, gzip.compress(b">b\nMK\n"), "b.fa.gz")
    file(tmp_path, ">a\nGA\n", "a.fasta")
    file(tmp_path, "no sequences here", "notes.txt")
    assert fasta(str(tmp_path)).texts == ("GA", "MK")
    assert load(f"fasta:{tmp_path}/b.fa.gz").texts == ("MK",)


def test_a_record_without_a_name_is_called_by_its_line(tmp_path: Path) -> None:
    assert fasta(file(tmp_path, ">\nMK\n>\nGA\n")).names == ("line-1", "line-3")
    assert fasta(file(tmp_path, ">\nMK\n>line-1\nGA\n")).texts == ("MK", "GA")
    file(tmp_path, ">\nMK\n", "a.fasta")
    file(tmp_path, ">\nGA\n", "b.fasta")
    data = fasta(str(tmp_path))
    assert (data.texts, data.names) == (("MK", "GA"), ("a.fasta-line-1", "b.fasta-line-1"))


BAD = {
    "odd: character '7' at place 2": (">good\nMKT\n>odd\nM7\n", 4),
    "odd: character '#' at place 1": (">good\nMKT\n>odd\nMKTAYIAKQR\n\n#K\n", 6),
    "odd: character '7' at place 4": (">good\nMKT\r\n>odd\r\nM K T\r\n \tm7\r\n", 5),
    "odd: character 'ß' at place 3": (">good\nMKT\n>odd\nMKßT\n", 4),
    "odd: character 'ﬁ' at place 1": (">good\nMKT\n>odd\nﬁM\n", 4),
    "an empty sequence": (">good\nMKT\n>odd\n\n", 3),
    "'good' is there already": (">good\nMKT\n>good\nGA\n", 3),
}


@pytest.mark.parametrize("said", list(BAD))
def test_bad_records_are_errors_or_counted(tmp_path: Path, said: str) -> None:
    text, line = BAD[said]
    path = file(tmp_path, text)
    with pytest.raises(UserError, match=rf"a\.fasta, line {line}: .*{said}"):
        fasta(path)
    skipped = load(f"fasta_skip:{path}")
    assert skipped.texts == ("MKT",)
    assert len(skipped.skipped) == 1
    assert f"{path}, line {line}" in skipped.skipped[0]
    assert said in skipped.skipped[0]


def test_a_name_in_two_files_of_a_folder(tmp_path: Path) -> None:
    file(tmp_path, ">x\nMK\n", "a.fasta")
    file(tmp_path, ">x\nMK\n", "b.fasta")
    with pytest.raises(UserError, match=r"b\.fasta, line 1: 'x' is there already \(.*a\.fasta, line 1\)"):
        fasta(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("seq,label\nMKT,1\n", "line 1: 'seq,label' before the first >; expected FASTA"),
        ("", "no record"),
        ("\n\n", "no record"),
        (b"\x80\x81\xff", "no text"),
        (b"\x1f\x8b", "no text"),
    ],
)
def test_files_that_are_no_fasta(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        fasta(file(tmp_path, content))
    with pytest.raises(UserError, match="truncated or no text"):
        fasta(file(tmp_path, gzip.compress(b">a\nMK\n")[:-9], "cut.fa.gz"))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.fa: cannot be read"):
        fasta(str(tmp_path / "nothing.fa"))
    with pytest.raises(UserError, match="no FASTA file in it"):
        fasta(str(tmp_path))
    with pytest.raises(UserError, match="no sequences; 1 records were left out"):
        fasta(file(tmp_path, ">a\n1\n"), skip=True)


def test_source_words(tmp_path: Path) -> None:
    one, two = file(tmp_path, ">a\nMK\n>b\nGA\n"), file(tmp_path, ">c\nGA\n>d\nWW\n", "b.fasta")
    joined = load_texts(f"fasta:{one}+fasta:{two}")
    assert joined.texts == ("MK", "GA", "WW")
    for word, said in (("fast:x", "did you mean 'fasta'"), ("fasta", "where is it"), ("fasta:", "where is it")):
        with pytest.raises(UserError, match=said):
            load(word)


def test_what_was_left_out_is_said_in_the_run_folder(tmp_path: Path) -> None:
    import json

    good = "".join(f">p{n}\n{text}\n" for n, text in enumerate(random_proteins(20)))
    path = file(tmp_path, good + ">odd\nM7\n")
    recipe = write_recipe(tmp_path / "r.yaml", RECIPE, data=f"fasta:{path}", train={"epochs": 1})
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status == 2
    assert f"{path}, line 42: odd: character '7'" in said.err
    assert not (tmp_path / "run").exists()
    said = command("pretrain", recipe, "--data", f"fasta_skip:{path}", "--out", tmp_path / "run")
    assert said.status == 0, said.err
    described = json.loads((tmp_path / "run/environment.json").read_text())["data"]
    (said,) = described["skipped"]
    assert "line 42" in said
