"""Small proteins, recipes and runs that the tests of mmbio share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_mmbio import RECIPE, command, random_proteins, write_fasta, write_labelled, write_recipe


@pytest.fixture(scope="session")
def proteins(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Source word of some proteins."""
    return write_fasta(tmp_path_factory.mktemp("proteins") / "some.fasta", random_proteins(40))


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory, proteins: str) -> Path:
    """A pretraining recipe of seconds."""
    return write_recipe(tmp_path_factory.mktemp("recipe") / "tiny.yaml", RECIPE, data=proteins)


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory, recipe: Path) -> Path:
    """The run folder of a pretraining; tests that write into it take a copy."""
    out = tmp_path_factory.mktemp("pretrained") / "run"
    said = command("pretrain", recipe, "--out", out)
    assert said.status == 0, said.err
    return out


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of proteins with labels of all sorts."""
    return write_labelled(tmp_path_factory.mktemp("table") / "some.csv")
