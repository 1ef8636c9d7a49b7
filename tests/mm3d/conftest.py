"""Tiny data, recipes and a run that the tests of mm3d share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_mm3d import RECIPE, TASK, command, write_clouds, write_recipe


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache of parsed data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MM_BEYOND_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of clouds: train/ and test/ with three classes of 8 and 4 files."""
    root = tmp_path_factory.mktemp("clouds")
    write_clouds(root)
    return root


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory, clouds: Path) -> Path:
    """A pretraining recipe of seconds."""
    return write_recipe(tmp_path_factory.mktemp("recipe") / "tiny.yaml", RECIPE, data=str(clouds))


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory, clouds: Path) -> Path:
    """A classification recipe of seconds."""
    return write_recipe(tmp_path_factory.mktemp("task") / "task.yaml", TASK, data=str(clouds))


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory, recipe: Path) -> Path:
    """The run folder of a finished pretraining; tests that write into it take a copy."""
    out = tmp_path_factory.mktemp("pretrained") / "run"
    said = command("pretrain", recipe, "--out", out)
    assert said.status == 0, said.err
    return out
