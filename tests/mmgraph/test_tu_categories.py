from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.errors import UserError
from mmgraph.categories import count_categories
from mmgraph.data.sets import GraphSet
from mmgraph.data.sources import load
from mmgraph.graph import join

FILES = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n3, 3\n2, 1\n4, 5\n5, 4\n",  # a self-loop, and 2-1 twice
    "graph_indicator": "1\n1\n1\n2\n2\n",
    "graph_labels": "7\n-1\n",
    "node_labels": "3, 0\n4, 1\n6, 0\n3, 0\n4, 2\n",
    "edge_labels": "1\n1\n2\n2\n9\n5\n1\n1\n",
}


def write(root: Path, **changed: str | None) -> str:
    folder = root / "TINY"
    folder.mkdir()
    for name, text in (FILES | changed).items():
        if text is not None:
            (folder / f"TINY_{name}.txt").write_text(text)
    return f"tu_categories:{folder}"


def test_labels_are_categories(tmp_path: Path) -> None:
    data = load(write(tmp_path))
    assert isinstance(data, GraphSet)
    assert data.labels.tolist() == [1, 0]
    first, second = data.graphs
    assert first.x.dtype == torch.int64
    assert first.x.tolist() == [[0, 0], [1, 1], [3, 0]]
    assert second.x.tolist() == [[0, 0], [1, 2]]
    assert first.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert first.edge_attr is not None
    assert first.edge_attr.tolist() == [[0], [0], [1], [1]]
    assert second.edge_index.tolist() == [[0, 1], [1, 0]]


def test_without_labels(tmp_path: Path) -> None:
    data = load(write(tmp_path, node_labels=None, edge_labels=None))
    assert isinstance(data, GraphSet)
    assert [graph.x.tolist() for graph in data.graphs] == [[[1], [2], [1]], [[1], [1]]]
    assert all(graph.edge_attr is None for graph in data.graphs)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"node_labels": "1\n2\n"}, r"TINY_node_labels.txt: 2 lines for 5 nodes"),
        ({"edge_labels": "1\n2\n"}, r"TINY_edge_labels.txt: 2 lines for 8 edges"),
        ({"edge_labels": "single\n" * 8}, r"TINY_edge_labels.txt: not readable as whole numbers"),
        ({"graph_labels": None}, r"TINY_graph_labels.txt: not readable"),
        ({"graph_labels": "1\n"}, r"TINY_graph_indicator.txt: expected graphs 1 to 1 in ascending order"),
        ({"graph_indicator": "1\n2\n1\n2\n2\n"}, "ascending"),
        ({"A": "1, 9\n" * 8}, r"TINY_A.txt: expected two of the nodes 1 to 5"),
        ({"A": "1, 4\n" * 8}, r"TINY_A.txt: an edge joins two graphs"),
    ],
)
def test_bad_files(tmp_path: Path, changed: dict[str, str | None], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(write(tmp_path, **changed))


def test_no_such_set() -> None:
    with pytest.raises(UserError, match=r"no MUTAG_A.txt"):
        load("tu_categories:/nowhere/MUTAG")


@pytest.mark.parametrize(
    ("name", "nodes", "edges"),
    [("MUTAG", [7], [4]), ("PROTEINS", [3], None), ("AIDS", [38], [3]), ("IMDB-BINARY", [136], None)],
)
def test_real_sets_are_those_of_the_layout_tu(
    shared: Path, name: str, nodes: list[int], edges: list[int] | None
) -> None:
    folder = shared / "data/graphs/tu" / name
    data, plain = load(f"tu_categories:{folder}"), load(f"tu:{folder}")
    assert isinstance(data, GraphSet)
    assert isinstance(plain, GraphSet)
    assert (data.labels == plain.labels).all()
    for ours, other in zip(data.graphs, plain.graphs, strict=True):
        assert torch.equal(ours.edge_index, other.edge_index)
        assert torch.equal(ours.x[:, 0], other.x.argmax(1))
    together = join(data.graphs)
    assert count_categories(together.x) == nodes
    assert (None if together.edge_attr is None else count_categories(together.edge_attr)) == edges
