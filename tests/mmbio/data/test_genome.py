"""The proteins that are built in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.errors import MissingPackage, UserError
from mmbio.data.genome import genome
from mmbio.data.sources import load, load_texts


def test_the_built_in_genome() -> None:
    pytest.importorskip("pyhmmer")
    data = load("genome")
    assert len(data) == 2100
    assert sum(map(len, data.texts)) == 680484
    assert data.texts[0].startswith("MNINELLKDKDLKVTKYRKL")
    assert set("".join(data.texts)) <= set("ACDEFGHIKLMNPQRSTVWYX")
    with pytest.raises(UserError, match="built in and takes no path"):
        load("genome:here")


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyhmmer", None)
    with pytest.raises(MissingPackage, match=r"pip install 'mm-beyond\[bio\]'"):
        genome()


def test_several_sources_are_one_without_what_is_there_twice(tmp_path: Path) -> None:
    (tmp_path / "a.fasta").write_text(">one\nMKV\n>two\nAAAA\n")
    (tmp_path / "b.fasta").write_text(">three\nAAAA\n>four\nGGGG\n")
    data = load_texts(f"fasta:{tmp_path}/a.fasta+fasta:{tmp_path}/b.fasta")
    assert data.texts == ("MKV", "AAAA", "GGGG")
    with pytest.raises(UserError, match="where is it"):
        load_texts("fasta")
    with pytest.raises(UserError, match="did you mean 'fasta'"):
        load_texts("fastaa:x")
