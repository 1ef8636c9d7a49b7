"""Data and data sets of torch_geometric, and its classes without a download."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import UserError
from mmgraph.config import NodeProbeConfig
from mmgraph.data.inductive import PARTS
from mmgraph.data.pyg import from_pyg, from_pyg_dataset
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.sources import load
from mmgraph.probes import probe_graphs, probe_nodes

pytest.importorskip("torch_geometric")
from torch_geometric.data import Data, HeteroData, InMemoryDataset

EDGES = torch.tensor([[0, 1, 1, 2, 3, 3], [1, 0, 2, 1, 3, 4]])
LABELS = torch.tensor([0, 1, 0, 1, 1, 0])


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def masks(*indices: list[int], splits: int = 0) -> dict[str, torch.Tensor]:
    found = {}
    for part, nodes in zip(PARTS, indices, strict=True):
        mask = torch.zeros(6, dtype=torch.bool)
        mask[nodes] = True
        found[f"{part}_mask"] = torch.stack([mask, *[~mask] * splits], 1) if splits else mask
    return found


@pytest.mark.parametrize("splits", [0, 2])
def test_data_with_masks(splits: int) -> None:
    x = torch.randn(6, 3, dtype=torch.float64)
    data = from_pyg(Data(x=x, edge_index=EDGES, y=LABELS[:, None], **masks([0, 1], [2], [3, 4], splits=splits)), "mine")
    assert data.name == "mine"
    torch.testing.assert_close(data.graph.x, x.float())
    assert data.graph.edge_index is EDGES
    assert data.labels.tolist() == LABELS.tolist()
    assert [p.tolist() for p in (data.train, data.val, data.test)] == [[0, 1], [2], [3, 4]]


def test_nothing_is_copied() -> None:
    x = torch.randn(6, 3)
    data = from_pyg(Data(x=x, edge_index=EDGES, y=LABELS, **masks([0, 1], [2], [3])))
    assert data.graph.x.data_ptr() == x.data_ptr()


def test_categories() -> None:
    bonds = torch.arange(6)
    data = from_pyg(Data(x=LABELS, edge_index=EDGES, edge_attr=bonds, y=LABELS, **masks([0, 1], [2], [3])))
    assert data.graph.x.dtype == torch.int64
    assert data.graph.x.shape == (6, 1)
    assert data.graph.edge_attr is not None
    assert data.graph.edge_attr.tolist() == bonds[:, None].tolist()


def test_numbers_at_edges() -> None:
    """Weights are taken; other numbers are not, which a warning says."""
    numbers = torch.rand(6)
    with pytest.warns(UserWarning, match="not used") as said:
        data = from_pyg(Data(x=torch.ones(6, 1), edge_index=EDGES, edge_attr=numbers))
    assert data.graph.edge_attr is None
    assert said[0].filename == __file__
    weighted = from_pyg(Data(x=torch.ones(6, 1), edge_index=EDGES, edge_weight=numbers.double()))
    assert weighted.graph.edge_weight is not None
    assert torch.equal(weighted.graph.edge_weight, numbers)
    with pytest.raises(UserError, match="mine: edge weights that are NaN, infinite or negative"):
        from_pyg(Data(x=torch.ones(6, 1), edge_index=EDGES, edge_weight=-numbers), "mine")


def test_degrees_where_there_are_no_features() -> None:
    hub = torch.stack([torch.zeros(500, dtype=torch.int64), torch.arange(500)])
    data = from_pyg(Data(edge_index=hub, num_nodes=502))
    assert data.graph.x.shape == (502, 401)
    assert data.graph.x.argmax(1).tolist() == [400, *[0] * 501]


def test_no_masks_and_no_labels() -> None:
    labels = torch.arange(100) % 2
    ring = torch.stack([torch.arange(100), torch.arange(100).roll(1)])
    data = from_pyg(Data(x=torch.rand(100, 2), edge_index=ring, y=labels.float()))
    assert [len(p) for p in (data.train, data.val, data.test)] == [10, 10, 80]
    other = from_pyg(Data(x=torch.rand(100, 2), edge_index=ring, y=labels), seed=1)
    assert other.train.tolist() != data.train.tolist()
    none = from_pyg(Data(x=torch.rand(100, 2), edge_index=ring))
    assert not none.labelled
    assert len(none.train) == 0
    with pytest.raises(UserError, match="its nodes have no labels"):
        probe_nodes(torch.ones(100, 2), none, NodeProbeConfig(), 0)


def hetero() -> HeteroData:
    data = HeteroData()
    data["paper"].x = torch.ones(3, 1)
    return data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (Data(x=torch.ones(6, 1)), "no edge_index"),
        (hetero(), "several types"),
        (Data(x=torch.ones(6, 1), edge_index=EDGES, y=LABELS[:5]), "5 labels for 6 nodes"),
        (Data(x=torch.ones(6, 1), edge_index=EDGES, y=LABELS, train_mask=LABELS == 0), "no val_mask"),
        (Data(x=torch.ones(6, 1).to_sparse(), edge_index=EDGES), "dense"),
        (Data(x=torch.ones(6, 1, dtype=torch.complex64), edge_index=EDGES), "mine: x is a torch.complex64"),
        (Data(x=torch.ones(6, 1, 2), edge_index=EDGES), r"mine: features \(6, 1, 2\)"),
        (Data(x=torch.ones(6, 1), edge_index=EDGES.numpy()), "mine: edge_index is a ndarray"),
        (Data(x=torch.ones(6, 1), edge_index=EDGES.t()), r"mine: edge_index torch.int64 \(6, 2\)"),
        (Data(edge_index=EDGES.float(), num_nodes=6), r"mine: edge_index torch.float32 \(2, 6\)"),
        (Data(x=torch.ones(6, 1), edge_index=EDGES > 2), r"mine: edge_index torch.bool"),
        (Data(x=torch.ones(6, 1), edge_index=EDGES, edge_weight=np.ones(6)), "mine: edge_weight is a ndarray"),
        (Data(x=torch.ones(6, 1), edge_index=EDGES, edge_attr=[[1]] * 6), "mine: edge_attr is a list"),
        (
            Data(x=torch.ones(6, 1), edge_index=EDGES, edge_weight=torch.ones(6).cfloat()),
            "mine: edge_weight is a torch.c",
        ),
        (Data(x=torch.ones(6, 1), edge_index=EDGES, edge_weight=torch.ones(5)), r"mine: 6 edges, weights \(5,\)"),
        (
            Data(x=torch.ones(6, 1), edge_index=EDGES, edge_attr=torch.ones(5, 1).long()),
            "mine: 6 edges, edge attributes",
        ),
    ],
)
def test_bad_data(data: Data, said: str) -> None:
    with pytest.raises(UserError, match=said):
        from_pyg(data, "mine")


@pytest.mark.parametrize("edges", [torch.zeros(2, 0), torch.tensor([]), torch.tensor([[], []])])
def test_no_edges_are_floats_to_torch(edges: torch.Tensor) -> None:
    lonely = Data(x=torch.ones(2, 1), edge_index=edges)
    data = from_pyg_dataset([lonely, Data(x=torch.ones(6, 1), edge_index=EDGES)])
    assert [graph.edge_index.shape[1] for graph in data.graphs] == [0, 6]
    data = from_pyg_dataset([Data(edge_index=edges, num_nodes=2), Data(edge_index=EDGES, num_nodes=6)])
    assert data.graphs[0].x.argmax(1).tolist() == [0, 0]


def test_no_edges_have_no_categories() -> None:
    """As many columns as those of the other graphs, however torch makes a tensor of none."""
    some = Data(x=torch.ones(6, 1), edge_index=EDGES, edge_attr=torch.ones(6, 2).long())
    for none in (torch.tensor([]), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2)):
        lonely = Data(x=torch.ones(2, 1), edge_index=torch.zeros(2, 0), edge_attr=none)
        data = from_pyg_dataset([lonely, some])
        attributes = data.collate(data.graphs).edge_attr
        assert attributes is not None
        assert attributes.shape == (6, 2)
    other = Data(x=torch.ones(6, 1), edge_index=EDGES, edge_attr=torch.ones(6, 3).long())
    with pytest.raises(UserError, match=r"mine: \[2, 3\] categories an edge"):
        from_pyg_dataset([some, other], "mine")


def test_gradients_end_at_the_data() -> None:
    """Features that another network made are taken as they are; a second step would look for its graph in vain."""
    made = (torch.ones(6, 2, requires_grad=True) * 2, torch.ones(6, requires_grad=True) * 2)
    graph = from_pyg(Data(x=made[0], edge_index=EDGES, edge_weight=made[1])).graph
    assert graph.edge_weight is not None
    assert not graph.x.requires_grad
    assert not graph.edge_weight.requires_grad


def test_graphs_of_two_types_of_features() -> None:
    mixed = [Data(x=torch.ones(6, 1), edge_index=EDGES), Data(x=torch.ones(6, 1).long(), edge_index=EDGES)]
    with pytest.raises(UserError, match=r"mine: x of graph 0 is torch.float32, that of graph 1 torch.int64"):
        from_pyg_dataset(mixed, "mine")


@pytest.mark.parametrize(
    "y",
    [torch.ones(6, 3), torch.full((6,), 0.5), torch.full((6,), torch.inf), torch.rand(1, 19), torch.tensor([1]), ["a"]],
)
def test_labels_that_are_no_classes_of_nodes(y: object) -> None:
    """Several a node, numbers to predict, those of the graph: nodes are learned from without labels."""
    with pytest.warns(UserWarning, match="mine: y is not one class a node .* there are no labels") as said:
        data = from_pyg(Data(x=torch.ones(6, 1), edge_index=EDGES, y=y, **masks([0], [1], [2])), "mine")
    assert (len(said), said[0].filename) == (1, __file__)
    assert not data.labelled
    with pytest.raises(UserError, match="its nodes have no labels"):
        probe_nodes(torch.ones(6, 2), data, NodeProbeConfig(), 0)


@pytest.mark.parametrize(
    "labels",
    [
        [torch.rand(1, 19), torch.rand(1, 19)],  # QM9
        [torch.tensor([0.7]), torch.tensor([1.0])],  # ZINC
        [torch.tensor([[0, torch.nan]]), torch.tensor([[1.0, 0.0]])],  # Tox21
        [torch.arange(3), torch.arange(3)],  # PATTERN
        [torch.tensor([1]), "a name"],
    ],
)
def test_labels_that_are_no_classes_of_graphs(labels: list) -> None:
    items = [Data(x=torch.rand(3, 2), edge_index=EDGES[:, :2], y=y) for y in labels]
    with pytest.warns(UserWarning, match=r"mine, graph \d: y is not one class a graph .* there are no labels") as said:
        data = from_pyg_dataset(items, "mine")
    assert (len(said), said[0].filename) == (1, __file__)
    assert data.labels.tolist() == [-1, -1]
    with pytest.raises(UserError, match="not all of its graphs have labels"):
        probe_graphs(np.zeros((2, 3)), data)


def test_a_split_beside_the_data() -> None:
    """As `get_idx_split` of the Open Graph Benchmark gives it; it goes before masks, and nodes without label are left out."""
    labels = torch.tensor([[0.0], [1.0], [torch.nan], [0.0], [1.0], [0.0]])
    graph = Data(x=torch.ones(6, 1), edge_index=EDGES, y=labels, **masks([0], [1], [2]))
    data = from_pyg(graph, parts=(torch.tensor([4, 0, 2]), torch.tensor([1]), torch.tensor([3, 5])))
    assert [part.tolist() for part in (data.train, data.val, data.test)] == [[4, 0], [1], [3, 5]]
    good = torch.tensor([0, 1])
    for wrong, said in (
        ((good, good), "mine: 2 parts; expected nodes that train"),
        ((good, torch.tensor([6]), good), "mine: its val part has nodes that are not among the 6"),
        (
            (good, good, torch.ones(6, dtype=torch.bool)),
            r"mine: test part torch.bool \(6,\); expected numbers of nodes",
        ),
        ((good, good, torch.tensor([3])), "in two of train, val and test"),
    ):
        with pytest.raises(UserError, match=said):
            from_pyg(graph, "mine", parts=wrong)


def test_many_graphs() -> None:
    items = [Data(x=torch.rand(n, 2), edge_index=EDGES[:, :2], y=torch.tensor([[n % 2]])) for n in (2, 3, 4)]
    data = from_pyg_dataset(items, "mine")
    assert [len(g.x) for g in data.graphs] == [2, 3, 4]
    assert data.labels.tolist() == [0, 1, 0]
    bare = from_pyg_dataset([Data(edge_index=EDGES[:, :2], num_nodes=3), Data(edge_index=EDGES, num_nodes=6)])
    assert {g.x.shape[1] for g in bare.graphs} == {3}
    with pytest.raises(UserError, match="not all of its graphs have labels"):
        probe_graphs(np.zeros((2, 3)), bare)
    for wrong, said in (
        ([items[0], Data(x=torch.rand(2, 2), edge_index=EDGES[:, :2])], "mine, graph 1: no y"),
        ([items[0], Data(edge_index=EDGES[:, :2], num_nodes=2, y=torch.tensor([0]))], "mine, graph 1: no x"),
        ([], "no graphs"),
    ):
        with pytest.raises(UserError, match=said):
            from_pyg_dataset(wrong, "mine")


def test_classes_read_raw_files_that_are_there(shared: Path, tmp_path: Path) -> None:
    shutil.copytree(shared / "data/graphs/tu/MUTAG", tmp_path / "MUTAG/raw")
    data = load(f"pyg:TUDataset:{tmp_path / 'MUTAG'}")
    assert isinstance(data, GraphSet)
    ours = load(f"tu:{shared / 'data/graphs/tu/MUTAG'}")
    assert isinstance(ours, GraphSet)
    assert data.labels.tolist() == ours.labels.tolist()
    assert torch.equal(data.graphs[5].x, ours.graphs[5].x)
    shutil.rmtree(tmp_path / "MUTAG/raw")  # what was processed is enough
    assert len(load(f"pyg:TUDataset:{tmp_path / 'MUTAG'}").graphs) == 188  # type: ignore[union-attr]


def test_one_graph_of_a_class(shared: Path, tmp_path: Path) -> None:
    raw = tmp_path / "Cora/raw"
    raw.mkdir(parents=True)
    for path in (shared / "data/graphs/planetoid").glob("ind.cora.*"):
        shutil.copy(path, raw)
    data = load(f"pyg:Planetoid:{tmp_path / 'Cora'}")
    assert isinstance(data, NodeSet)
    assert (len(data.train), len(data.val), len(data.test)) == (140, 500, 1000)


def test_nothing_is_downloaded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train_feats\.npy: not there; nothing is downloaded"):
        load(f"pyg:PPI:{tmp_path}")
    with pytest.raises(UserError, match=r"ind\.cora\.x: not there"):
        load(f"pyg:Planetoid:{tmp_path / 'Cora'}")
    with pytest.raises(UserError, match=r"amazon_electronics_photo\.npz: not there"):
        load(f"pyg:Amazon:{tmp_path / 'nowhere/Photo'}")
    assert not list(tmp_path.iterdir())


def test_nothing_is_said_or_left_of_files_that_are_damaged(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # under which torch_geometric is silent
    folder = tmp_path / "MUTAG"
    shutil.copytree(shared / "data/graphs/tu/MUTAG", folder / "raw")
    indicator = folder / "raw/MUTAG_graph_indicator.txt"
    whole = indicator.read_text()
    indicator.write_text("")
    with pytest.raises(UserError, match="TUDataset cannot read its files"):
        load(f"pyg:TUDataset:{folder}")
    assert [path.name for path in folder.iterdir()] == ["raw"]
    indicator.write_text(whole)
    assert len(load(f"pyg:TUDataset:{folder}").graphs) == 188  # type: ignore[union-attr]
    assert (folder / "processed").is_dir()
    assert capfd.readouterr() == ("", "")


def test_warnings_of_a_class_are_shown_where_it_can_be_read(
    shared: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    shutil.copytree(shared / "data/graphs/tu/MUTAG", tmp_path / "MUTAG/raw")
    load(f"pyg:TUDataset:{tmp_path / 'MUTAG'}")
    before = len(recwarn.list)
    torch.save("another", tmp_path / "MUTAG/processed/pre_transform.pt")
    load(f"pyg:TUDataset:{tmp_path / 'MUTAG'}")
    assert any("pre_transform" in str(warning.message) for warning in recwarn.list[before:])
    (tmp_path / "MUTAG/processed/data.pt").write_bytes(b"no archive")
    before = len(recwarn.list)
    with pytest.raises(UserError, match="TUDataset cannot read its files"):
        load(f"pyg:TUDataset:{tmp_path / 'MUTAG'}")
    assert len(recwarn.list) == before


class Evil:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("evil",)


@pytest.mark.parametrize("file", ["data.pt", "pre_transform.pt"])
def test_processed_files_run_no_code(shared: Path, tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(shared / "data/graphs/tu/MUTAG", tmp_path / "MUTAG/raw")
    load("pyg:TUDataset:MUTAG")
    torch.save(Evil(), tmp_path / "MUTAG/processed" / file)
    with pytest.raises(UserError, match="TUDataset cannot read its files"):
        load("pyg:TUDataset:MUTAG")
    assert not (tmp_path / "evil").exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    pickle.loads(pickle.dumps(Evil()))  # it would have
    assert (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("pyg:TUDatasett:x", "did you mean 'TUDataset'"),
        ("pyg:TUDataset", "expected pyg:CLASS:ROOT"),
        ("pyg:KarateClub:x", "KarateClub takes "),
    ],
)
def test_bad_words(words: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(words)


def test_a_dataset_of_ones_own(tmp_path: Path) -> None:
    class Mine(InMemoryDataset):
        def __init__(self) -> None:
            super().__init__(str(tmp_path))
            self.data, self.slices = self.collate(
                [Data(x=torch.rand(2, 2), edge_index=EDGES[:, :2], y=n) for n in (0, 1)]
            )

    data = from_pyg_dataset(Mine())
    assert data.name == "Mine"
    assert data.labels.tolist() == [0, 1]


def test_what_does_not_fit_together() -> None:
    """Edges to nodes that are not there, masks and labels of other lengths, a split that is not there."""
    every = torch.ones(6, dtype=torch.bool)
    for wrong, said in (
        (
            Data(edge_index=torch.tensor([[0, 7], [7, 0]]), num_nodes=3),
            "mine: edges name nodes 0 to 7; there are 0 to 2",
        ),
        (Data(x=torch.ones(6, 1), edge_index=EDGES, y=LABELS[:5]), "mine: 5 labels for 6 nodes"),
        (
            Data(x=torch.ones(6, 1), edge_index=EDGES, y=LABELS, train_mask=every[:4], val_mask=every, test_mask=every),
            r"mine: train_mask of shape \(4,\)",
        ),
    ):
        with pytest.raises(UserError, match=said):
            from_pyg(wrong, "mine")
    two = torch.ones(6, 2, dtype=torch.bool)
    data = Data(x=torch.ones(6, 1), edge_index=EDGES, y=LABELS, train_mask=two, val_mask=two, test_mask=two)
    with pytest.raises(UserError, match="expected 6 nodes and split 5"):
        from_pyg(data, "mine", split=5)
