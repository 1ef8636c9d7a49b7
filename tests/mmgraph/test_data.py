"""Readers on tiny files in the public formats, and what bad graphs are told."""

from __future__ import annotations

import json
import os
import pickle
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from core.cli.app import run
from core.errors import UserError
from mmgraph.cli import ABOUT, COMMANDS
from mmgraph.config import NodeProbeConfig
from mmgraph.data.inductive import InductivePart, InductiveSet
from mmgraph.data.pyg import from_pyg, from_pyg_dataset
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.sources import load
from mmgraph.data.splits import split_graphs
from mmgraph.graph import Graphs
from mmgraph.layers.pool import pool_nodes
from mmgraph.probes import probe_graphs, probe_nodes


def write_tu(root: Path, labels: bool) -> Path:
    """Two triangles and two paths of three, in the text form of TUDataset."""
    folder = root / "TINY"
    folder.mkdir()
    edges, indicator = [], []
    for graph in range(4):
        at = 3 * graph + 1
        pairs = [(at, at + 1), (at + 1, at + 2)] + ([(at, at + 2)] if graph < 2 else [])
        edges += [pair for a, b in pairs for pair in ((a, b), (b, a))]
        indicator += [graph + 1] * 3
    (folder / "TINY_A.txt").write_text("".join(f"{a}, {b}\n" for a, b in edges))
    (folder / "TINY_graph_indicator.txt").write_text("".join(f"{i}\n" for i in indicator))
    (folder / "TINY_graph_labels.txt").write_text("1\n1\n-1\n-1\n")
    if labels:
        (folder / "TINY_node_labels.txt").write_text("5\n6\n7\n" * 4)
    return folder


def write_planetoid(folder: Path) -> Path:
    """A ring of 12 papers with the public files' form: 4 training, 500 are cut to what is there."""
    count, train, test = 520, 4, 10
    features = sparse.csr_matrix(np.eye(count, 6, dtype=np.float32) + np.float32(1))
    onehot = np.eye(2, dtype=np.int32)[np.arange(count) % 2]
    rest = count - test
    content = {
        "x": features[:train], "y": onehot[:train], "allx": features[:rest], "ally": onehot[:rest],
        "tx": features[rest:], "ty": onehot[rest:],
        "graph": defaultdict(list, {i: [(i + 1) % count, (i - 1) % count] for i in range(count)}),
    }  # fmt: skip
    for name, value in content.items():
        (folder / f"ind.tiny.{name}").write_bytes(pickle.dumps(value))
    (folder / "ind.tiny.test.index").write_text("".join(f"{i}\n" for i in range(rest, count)))
    return folder / "tiny"


def test_planetoid(tmp_path: Path) -> None:
    data = load(f"planetoid:{write_planetoid(tmp_path)}")
    assert isinstance(data, NodeSet)
    assert data.graph.x.shape == (520, 6)
    torch.testing.assert_close(data.graph.x.sum(1), torch.ones(520))
    assert data.graph.edge_index.shape == (2, 1040)
    assert data.train.tolist() == [0, 1, 2, 3]
    assert (len(data.val), len(data.test), data.classes) == (500, 10, 2)


@pytest.mark.parametrize("name", ["cora", "citeseer"])
def test_real_planetoid(shared: Path, name: str) -> None:
    data = load(f"planetoid:{shared / 'data/graphs/planetoid' / name}")
    assert isinstance(data, NodeSet)
    nodes, width, classes = {"cora": (2708, 1433, 7), "citeseer": (3327, 3703, 6)}[name]
    assert data.graph.x.shape == (nodes, width)
    assert data.classes == classes
    assert (len(data.train), len(data.val), len(data.test)) == (20 * classes, 500, 1000)
    assert data.graph.sparse_x is not None


@pytest.mark.parametrize("name", ["cora", "citeseer"])
def test_planetoid_is_what_torch_geometric_reads(shared: Path, name: str) -> None:
    from torch_geometric.io import read_planetoid_data

    folder = shared / "data/graphs/planetoid"
    data, expected = load(f"planetoid_raw:{folder / name}"), read_planetoid_data(str(folder), name)
    assert isinstance(data, NodeSet)
    assert torch.equal(data.graph.x, expected.x)
    assert torch.equal(data.graph.edge_index, expected.edge_index)
    assert torch.equal(data.labels, expected.y)
    for part, mask in ((data.train, "train_mask"), (data.val, "val_mask"), (data.test, "test_mask")):
        assert torch.equal(part, expected[mask].nonzero().squeeze(1))


class Harm:
    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)

    def __init__(self, path: Path) -> None:
        self.path = str(path)


def test_a_planetoid_pickle_executes_nothing(tmp_path: Path) -> None:
    source = write_planetoid(tmp_path)
    (tmp_path / "ind.tiny.ally").write_bytes(pickle.dumps(Harm(tmp_path / "harm")))
    with pytest.raises(UserError, match=r"ind.tiny.ally: names posix.mkdir; .*could execute code"):
        load(f"planetoid:{source}")
    assert not (tmp_path / "harm").exists()


def _rewrite(folder: Path, name: str, content: object) -> None:
    (folder / f"ind.tiny.{name}").write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tx", pickle.dumps(np.ones((3, 6)))[:-9], "ind.tiny.tx: (damaged|pickle data was truncated)"),
        ("tx", np.ones((3, 6)), "ind.tiny.tx: 3 rows of 6 for 10 nodes"),
        ("allx", [1, 2], "ind.tiny.allx: expected a matrix of numbers"),
        ("graph", {0: [1], 1: [9000]}, "ind.tiny.graph: expected edges between the nodes 0 to 519"),
        ("graph", [0, 1], "ind.tiny.graph: expected the neighbours of every node"),
        ("test.index", b"4\n4\n", "ind.tiny.test.index: expected different numbers"),
        ("test.index", b"a\n", "ind.tiny.test.index: not readable"),
        ("test.index", b"", "ind.tiny.test.index: empty; expected one whole number a line"),
    ],
)  # fmt: skip
def test_bad_planetoid_files(tmp_path: Path, name: str, content: object, said: str) -> None:
    source = write_planetoid(tmp_path)
    _rewrite(tmp_path, name, content)
    with pytest.raises(UserError, match=said):
        load(f"planetoid:{source}")


@pytest.mark.parametrize("labels", [True, False])
def test_tu(tmp_path: Path, labels: bool) -> None:
    data = load(f"tu:{write_tu(tmp_path, labels)}")
    assert isinstance(data, GraphSet)
    assert data.labels.tolist() == [1, 1, 0, 0]
    assert [len(g.x) for g in data.graphs] == [3] * 4
    assert [g.edge_index.shape[1] for g in data.graphs] == [6, 6, 4, 4]
    features = data.graphs[3].x.tolist()
    assert features == ([[1, 0, 0], [0, 1, 0], [0, 0, 1]] if labels else [[0, 1, 0], [0, 0, 1], [0, 1, 0]])
    assert sum(bool((g.edge_index >= 3).any()) for g in data.graphs) == 0


def test_real_tu(shared: Path) -> None:
    for name, (graphs, width) in {"MUTAG": (188, 7), "IMDB-BINARY": (1000, 136), "PROTEINS": (1113, 3)}.items():
        data = load(f"tu:{shared / 'data/graphs/tu' / name}")
        assert isinstance(data, GraphSet)
        assert len(data) == graphs
        assert {g.x.shape[1] for g in data.graphs} == {width}


def test_arrays(shared: Path) -> None:
    data = load(f"arrays:{shared / 'data/graphs/amazon_photo.npz'}")
    assert isinstance(data, NodeSet)
    assert data.graph.x.shape == (7650, 745)
    assert data.graph.edge_index.shape == (2, 238162)
    assert data.classes == 8
    parts = torch.cat([data.train, data.val, data.test])
    assert sorted(parts.tolist()) == list(range(7650))
    assert abs(len(data.train) - 765) <= 1


def test_digits_are_real_and_undirected() -> None:
    data = load("digits")
    assert isinstance(data, NodeSet)
    assert data.graph.x.shape == (1797, 64)
    a, b = data.graph.edge_index
    assert {*zip(a.tolist(), b.tolist(), strict=True)} == {*zip(b.tolist(), a.tolist(), strict=True)}


X, EDGES, LABELS = torch.eye(4), torch.tensor([[0, 1, 2], [1, 2, 3]]), torch.tensor([0, 1, 0, 1])
PART = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("x", "edges", "labels", "said"),
    [
        (X[:0], EDGES[:, :0], LABELS[:0], "0 nodes"),
        (X, EDGES[:, :0], LABELS, "no edge between two nodes"),
        (X, torch.tensor([[1], [1]]), LABELS, "no edge between two nodes"),
        (X, torch.tensor([[0], [4]]), LABELS, "edges name nodes 0 to 4; there are 0 to 3"),
        (X * torch.nan, EDGES, LABELS, "NaN or infinite features at 4 of 4"),
        (X, EDGES, LABELS[:3], "3 labels for 4 nodes"),
        (X, EDGES, LABELS * 0, "one class"),
        (X, EDGES, LABELS * 10**12, "mine: node 1 has class 1000000000000; .*no more of them than the 4 nodes"),
    ],
)
def test_bad_graphs(x: torch.Tensor, edges: torch.Tensor, labels: torch.Tensor, said: str) -> None:
    with pytest.raises(UserError, match=said):
        NodeSet("mine", Graphs(x, edges), labels, PART, PART, PART)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("cora", "no such layout"),
        ("planetoyd:x", "did you mean 'planetoid'"),
        ("planetoid", "where is it"),
        ("planetoid:/nowhere/cora", "no ind.cora.graph"),
        ("tu:/nowhere/MUTAG", "no MUTAG_A.txt"),
        ("arrays:/nowhere.npz", "/nowhere.npz"),
    ],
)
def test_bad_sources(source: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(source)


def test_graphs_are_split_by_class_and_seed() -> None:
    labels = np.repeat([0, 1, 2, -1], [50, 20, 2, 5])
    parts = split_graphs(labels, seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(72))  # all that have a label, once
    assert [np.bincount(labels[part], minlength=3).tolist() for part in parts] == [[40, 16, 2], [5, 2, 0], [5, 2, 0]]
    again, other = split_graphs(labels, seed=0), split_graphs(labels, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    assert not np.array_equal(parts[2], other[2])


def test_data_of_torch_geometric() -> None:
    data = pytest.importorskip("torch_geometric.data").Data
    one = data(x=X.double(), edge_index=EDGES, y=LABELS)
    masks = torch.eye(4, dtype=torch.bool)
    one.train_mask = torch.stack([masks[0] | masks[1], masks[2] | masks[3]], 1)
    one.val_mask, one.test_mask = masks[[2, 0]].t(), masks[[3, 1]].t()
    assert from_pyg(one, split=1).train.tolist() == [2, 3]
    assert (from_pyg(one).train.tolist(), from_pyg(one).test.tolist()) == ([0, 1], [3])
    assert from_pyg(one).graph.x.dtype == torch.float32
    many = from_pyg_dataset([data(x=X, edge_index=EDGES, y=torch.tensor([i])) for i in (1, 0)])
    assert many.labels.tolist() == [1, 0]
    with pytest.warns(UserWarning, match=r"mine, graph 0: y is not one class a graph"):
        assert from_pyg_dataset([one], "mine").labels.tolist() == [-1]


def test_pooling(square: Graphs) -> None:
    x = torch.arange(12.0).view(6, 2)
    assert pool_nodes(x, square, "mean").tolist() == [[3, 4], [9, 10]]
    assert pool_nodes(x, square, "max").tolist() == [[6, 7], [10, 11]]
    assert pool_nodes(x, square, "sum").tolist() == [[12, 16], [18, 20]]


def test_probes_read_what_is_there_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 3
    ring = torch.stack([torch.arange(300), torch.arange(300).roll(1)])
    parts = torch.randperm(300, generator=generator).split([60, 60, 180])
    data = NodeSet("ring", Graphs(torch.ones(300, 1), ring), labels, *parts)
    told = torch.eye(3)[labels] + 0.1 * torch.randn(300, 3, generator=generator)
    noise = torch.randn(300, 3, generator=generator)
    assert probe_nodes(told, data, NodeProbeConfig(), 0).accuracy == 1.0
    assert probe_nodes(noise, data, NodeProbeConfig(), 0).accuracy < 0.5
    one = Graphs(torch.ones(2, 1), torch.tensor([[0], [1]]))
    graphs = GraphSet("many", (one,) * 60, (labels[:60] % 2).numpy())
    assert probe_graphs(np.eye(2)[graphs.labels], graphs) == 1.0
    with pytest.raises(UserError, match="NaN"):
        probe_graphs(np.full((60, 2), np.nan), graphs)


def test_the_command_line_pretrains_and_probes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(
        "system: graphmae\ndata: digits\nmodel: {width: 64, encoder: {dim: 16, heads: 2}}\n"
        "optim: {algorithm: adam, warmup_epochs: 0}\ntrain: {epochs: 3, batch_size: 1}\nprobe_nodes: {epochs: 20}\n"
    )

    def command(*words: object) -> int:
        return run("mmgraph", ABOUT, COMMANDS, [str(word) for word in words])

    out = tmp_path / "run"
    assert command("pretrain", recipe, "--out", out, "--seeds", 2) == 0
    assert command("probe", out) == 0
    said = json.loads((out / "probe.json").read_text())
    assert [(row["embeddings"], row["seeds"]) for row in said["rows"]] == [
        ("pretrained", 2), ("untrained", 2), ("raw features", 2),
    ]  # fmt: skip
    assert all(0.1 < row["mean"] <= 1 for row in said["rows"])
    capsys.readouterr()
    assert command("pretrain", recipe, "--out", out, "--seeds", 2) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert command("pretrain", recipe, "--model.width", 5, "--out", tmp_path / "other") == 2
    assert "64 features a node; the model takes 5" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_narrow_numbers_of_nodes_do_not_overflow() -> None:
    """Edges in int32 are edges: the keys of pairs go beyond it."""
    nodes = 100_000
    edges = torch.tensor([[99_999, 7], [99_998, 99_000]])
    wide, narrow = (Graphs(torch.zeros(nodes, 1), e) for e in (edges, edges.int()))
    assert torch.equal(wide.pairs[1], narrow.pairs[1])
    assert wide.pairs[1].tolist() == [7 * nodes + 99_000, 99_998 * nodes + 99_999]
    with pytest.raises(ValueError, match=r"edges of torch\.float32"):
        Graphs(torch.zeros(2, 1), torch.zeros(2, 1))


@pytest.mark.parametrize(
    ("train", "said"), [([-1, 0], "not in the graph"), ([0, 2], "nodes that are in two of train, val and test")]
)
def test_parts_are_checked(train: list[int], said: str) -> None:
    parts = (torch.tensor(train), torch.tensor([2]), torch.tensor([3]))
    with pytest.raises(UserError, match=said):
        NodeSet("mine", Graphs(X, EDGES), LABELS, *parts)


def test_stray_classes_are_not_counted_to() -> None:
    graph = Graphs(X, EDGES)
    with pytest.raises(UserError, match=r"mine: graph 1 has class 1000000000000; .*no more of them than the 2 graphs"):
        GraphSet("mine", (graph, graph), np.array([0, 10**12]))
    part, bad = (InductivePart((graph,), (labels,)) for labels in (LABELS, LABELS * 12))
    with pytest.raises(UserError, match=r"mine, test graph 0: node 1 has class 12; .*than the 12 nodes"):
        InductiveSet("mine", part, part, bad)


def test_graphs_of_a_set_are_alike() -> None:
    graph = Graphs(X, EDGES)
    for other, said in (
        (Graphs(X[:, :1], EDGES), "features a node; expected as many in all graphs"),
        (Graphs(X, EDGES, edge_attr=EDGES.t()), "some of its graphs have edge_attr"),
    ):
        with pytest.raises(UserError, match=said):
            GraphSet("mine", (graph, other), np.array([0, 1]))
