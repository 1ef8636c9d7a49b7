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
        ({"graph_labels": None}, r"TINY_graph_labels.txt: no such file"),
        ({"graph_labels": "1\n"}, r"TINY_graph_indicator.txt: expected graphs 1 to 1 in ascending order"),
        ({"graph_indicator": "1\n2\n1\n2\n2\n"}, "ascending"),
        ({"A": "1, 2\n1, 9\n" * 4}, r"TINY_A.txt, line 2: joins 1 and 9; expected two of the nodes 1 to 5"),
        ({"A": "1, 2\n1, 4\n" * 4}, r"TINY_A.txt, line 2: an edge joins two graphs"),
        ({"A": "1\n2\n"}, r"TINY_A.txt: 1 columns; expected two nodes a line"),
        ({"A": ""}, r"TINY_A.txt: empty; expected whole numbers"),
        ({"graph_labels": "1 2\n"}, r"TINY_graph_labels.txt: not readable"),
        ({"graph_labels": "1, 2\n3, 4\n"}, r"TINY_graph_labels.txt: 2 columns; expected one class a graph"),
        ({"graph_labels": "1.5\n2\n"}, r"TINY_graph_labels.txt: not readable as whole numbers"),
        ({"node_labels": f"1\n2\n{10**12}\n1\n1\n"}, r"TINY_node_labels.txt, line 3: a label far above"),
        ({"node_labels": f"1\n-{2**63}\n5\n1\n1\n"}, r"TINY_node_labels.txt, line \d: a label far above"),
    ],
)
@pytest.mark.parametrize("layout", ["tu", "tu_categories"])
def test_bad_files(
    tmp_path: Path, layout: str, changed: dict[str, str | None], said: str, recwarn: pytest.WarningsRecorder
) -> None:
    path = write(tmp_path, **changed).partition(":")[2]
    if layout == "tu" and "edge_labels" in changed:
        assert load(f"tu:{path}").name == "TINY"  # type: ignore[union-attr]
    else:
        with pytest.raises(UserError, match=said):
            load(f"{layout}:{path}")
    assert not recwarn.list


def test_attributes_and_degrees(tmp_path: Path) -> None:
    path = write(tmp_path, node_attributes="1, .5\n2, 1\n3, 1.5\n4, 2\n5, -1e3\n").partition(":")[2]
    data = load(f"tu_attributes:{path}")
    assert isinstance(data, GraphSet)
    assert data.graphs[0].x.dtype == torch.float32
    assert [graph.x.tolist() for graph in data.graphs] == [[[1, 0.5], [2, 1], [3, 1.5]], [[4, 2], [5, -1000]]]
    degrees = load(f"tu_degrees:{path}")
    assert isinstance(degrees, GraphSet)
    assert [graph.x.argmax(1).tolist() for graph in degrees.graphs] == [[1, 2, 1], [1, 1]]
    labels = load(f"tu:{path}")
    assert isinstance(labels, GraphSet)
    assert labels.graphs[1].x.tolist() == [[1, 0, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0, 1]]
    for one, other in zip(data.graphs, degrees.graphs, strict=True):
        assert torch.equal(one.edge_index, other.edge_index)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        (None, r"TINY_node_attributes.txt: not there, so that nodes have no attributes; tu: takes"),
        ("1\n2\nnan\n4\ninf\n", r"TINY_node_attributes.txt, line 3: NaN or infinite attributes, as of 2 of 5 nodes"),
        ("1\n2\n", r"TINY_node_attributes.txt: 2 lines for 5 nodes"),
        ("1\nb\n", r"TINY_node_attributes.txt: not readable as numbers .*'b'"),
        ("", r"TINY_node_attributes.txt: empty"),
    ],
)
def test_bad_attributes(tmp_path: Path, attributes: str | None, said: str, recwarn: pytest.WarningsRecorder) -> None:
    path = write(tmp_path, node_attributes=attributes).partition(":")[2]
    with pytest.raises(UserError, match=said):
        load(f"tu_attributes:{path}")
    assert not recwarn.list


def test_one_graph_of_one_edge(tmp_path: Path) -> None:
    path = write(
        tmp_path, A="2, 1\n", graph_indicator="1\n1\n", graph_labels="3\n", node_labels=None, edge_labels="4\n"
    )
    for layout in ("tu", "tu_degrees", "tu_categories"):
        data = load(f"{layout}:{path.partition(':')[2]}")
        assert isinstance(data, GraphSet)
        assert (len(data), data.labels.tolist()) == (1, [0])
        assert data.graphs[0].edge_index.tolist() == [[1], [0]]


def test_graphs_without_edges_or_classes(tmp_path: Path) -> None:
    """A set of numbers to predict can be learned from; its last graph here has no edge."""
    path = write(tmp_path, A="1, 2\n2, 1\n", graph_labels=None, graph_attributes="0.3\n1.7\n", edge_labels=None)
    with pytest.warns(UserWarning, match=r"TINY_graph_attributes.txt: graphs have numbers, no classes") as said:
        data = load(path)
    assert len(said) == 1
    assert isinstance(data, GraphSet)
    assert data.labels.tolist() == [-1, -1]
    assert [graph.edge_index.shape[1] for graph in data.graphs] == [2, 0]


@pytest.mark.parametrize("name", ["MUTAG", "PROTEINS", "IMDB-BINARY"])
def test_layout_tu_is_what_torch_geometric_reads(shared: Path, name: str) -> None:
    from torch_geometric.io import read_tu_data

    folder = shared / "data/graphs/tu" / name
    data, (expected, slices, sizes) = load(f"tu:{folder}"), read_tu_data(str(folder), name)
    assert isinstance(data, GraphSet)
    assert data.labels.tolist() == expected.y.tolist()
    edges = torch.cat([graph.edge_index for graph in data.graphs], 1)
    assert torch.equal(edges, expected.edge_index)
    assert [graph.edge_index.shape[1] for graph in data.graphs] == slices["edge_index"].diff().tolist()
    if sizes["num_node_labels"]:
        x = torch.cat([graph.x for graph in data.graphs])
        assert torch.equal(x, expected.x[:, sizes["num_node_attributes"] :])
    if sizes["num_node_attributes"]:
        given = load(f"tu_attributes:{folder}")
        assert isinstance(given, GraphSet)
        assert torch.equal(torch.cat([g.x for g in given.graphs]), expected.x[:, : sizes["num_node_attributes"]])


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
