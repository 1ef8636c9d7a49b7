"""Small graphs, recipes and runs that the tests of mmgraph share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmgraph.graph import Graphs

sys.path.insert(0, str(Path(__file__).parent))

from tiny_mmgraph import ON_GRAPHS, RECIPE, TASK, command, write_graphs, write_nodes, write_recipe


@pytest.fixture(scope="session", autouse=True)
def _small_pictures() -> Iterator[None]:
    """Reports show few nodes: t-SNE of many takes longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmgraph.report.SHOWN", 60)
        yield


@pytest.fixture
def square() -> Graphs:
    """Two graphs: a square with a diagonal, directed edges given both ways and a self-loop; and two lonely nodes."""
    one_way = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
    edges = torch.cat([one_way, one_way.flip(0), torch.tensor([[1], [1]])], 1)
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    return Graphs(x, edges, torch.tensor([0, 4, 6]))


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Source word of a graph whose nodes have classes."""
    return write_nodes(tmp_path_factory.mktemp("nodes") / "ring.npz")


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Source word of graphs that have classes."""
    return write_graphs(tmp_path_factory.mktemp("graphs") / "RINGS")


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory, nodes: str) -> Path:
    """A pretraining recipe of seconds."""
    return write_recipe(tmp_path_factory.mktemp("recipe") / "tiny.yaml", RECIPE, data=nodes)


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tuning recipe of seconds; its data is that of the pretraining."""
    return write_recipe(tmp_path_factory.mktemp("task") / "task.yaml", TASK)


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory, recipe: Path) -> Path:
    """The run folder of a pretraining on one graph; tests that write into it take a copy."""
    out = tmp_path_factory.mktemp("pretrained") / "run"
    said = command("pretrain", recipe, "--out", out)
    assert said.status == 0, said.err
    return out


@pytest.fixture(scope="session")
def pretrained_on_graphs(tmp_path_factory: pytest.TempPathFactory, graphs: str) -> Path:
    """The run folder of a pretraining on many graphs."""
    folder = tmp_path_factory.mktemp("pretrained_on_graphs")
    said = command("pretrain", write_recipe(folder / "r.yaml", ON_GRAPHS, data=graphs), "--out", folder / "run")
    assert said.status == 0, said.err
    return folder / "run"
