"""PPI's format, what pretraining sees of it, and the probe of nodes with several labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from core.cli.app import run
from core.errors import UserError
from mmgraph.cli import ABOUT, COMMANDS
from mmgraph.config import GraphEncoderConfig, GraphMAEConfig, NodeProbeConfig, SamplingConfig
from mmgraph.data.inductive import InductivePart, InductiveSet
from mmgraph.data.ppi import ppi
from mmgraph.data.sources import load
from mmgraph.embedding import embed_parts
from mmgraph.graph import Graphs
from mmgraph.models.graphmae import GraphMAE
from mmgraph.probes import probe_parts
from mmgraph.probing import probe_set
from mmgraph.runs import ProbeConfig
from mmgraph.training_data import sampled

SIZES = {"train": (30, 20, 25), "valid": (15,), "test": (12, 18)}


def write(folder: Path, directed: bool = True) -> Path:
    """Rings; three labels that are signs of the features."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(0)
    for name, sizes in SIZES.items():
        links, at = [], 0
        for size in sizes:
            pairs = [(at + i, at + (i + 1) % size) for i in range(size)]
            links += [*pairs, *((b, a) for a, b in pairs), (at, at)] if directed else pairs
            at += size
        x = draws.normal(size=(at, 4))
        content = {
            "directed": directed,
            "multigraph": False,
            "graph": {},
            "nodes": [{"id": node} for node in range(at)],
            "links": [{"source": a, "target": b} for a, b in links],
        }
        (folder / f"{name}_graph.json").write_text(json.dumps(content))
        np.save(folder / f"{name}_feats.npy", x)
        np.save(folder / f"{name}_labels.npy", (x[:, :3] > 0).astype(np.int64))
        np.save(folder / f"{name}_graph_id.npy", np.repeat(np.arange(len(sizes)) + 3, sizes))
    return folder


@pytest.mark.parametrize("directed", [True, False])
def test_ppi(tmp_path: Path, directed: bool) -> None:
    data = load(f"ppi:{write(tmp_path / 'raw', directed).parent}")
    assert isinstance(data, InductiveSet)
    assert data.classes == 3
    assert len(data) == 3
    for part, sizes in zip(data.parts, SIZES.values(), strict=True):
        assert tuple(len(g.x) for g in part.graphs) == sizes
        for graph, labels, size in zip(part.graphs, part.labels, sizes, strict=True):
            ring = {pair for i in range(size) for pair in ((i, (i + 1) % size), ((i + 1) % size, i))}
            assert sorted(map(tuple, graph.edge_index.t().tolist())) == sorted(ring)
            assert torch.equal(labels, (graph.x[:, :3] > 0).float())
            assert graph.x.dtype == torch.float32


def test_as_torch_geometric_reads_it(tmp_path: Path) -> None:
    pyg = pytest.importorskip("torch_geometric.datasets")
    ours = ppi(write(tmp_path / "raw"))
    for part, name in zip(ours.parts, ("train", "val", "test"), strict=True):
        for graph, labels, theirs in zip(part.graphs, part.labels, pyg.PPI(str(tmp_path), name), strict=True):
            assert torch.equal(graph.x, theirs.x)
            assert torch.equal(labels, theirs.y)
            pairs = sorted(map(tuple, theirs.edge_index.t().tolist()))
            assert sorted(map(tuple, graph.edge_index.t().tolist())) == pairs


def test_only_training_graphs_are_seen(tmp_path: Path) -> None:
    data = ppi(write(tmp_path / "raw"))
    seen = [data.sample(index, torch.Generator()) for index in range(len(data))]
    assert all(a is b for a, b in zip(seen, data.train.graphs, strict=True))
    batch = data.collate(seen[:2])
    assert (len(batch), len(batch.x)) == (2, 50)


def test_f1_of_all_decisions() -> None:
    """The layer is pressed onto fixed weights by a step size of zero, so that the score can be counted by hand."""
    y = torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]])
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    score = probe_parts(([(x, y)], [(x, y)], [(x[:2], y[:2]), (x[2:], y[2:])]), 3, NodeProbeConfig(lr=0.0, epochs=1), 0)
    from sklearn.metrics import f1_score

    from core.random import derive_seed

    torch.manual_seed(derive_seed(0, "probe"))
    chosen = torch.nn.Linear(6, 3)(x) >= 0
    assert score.accuracy == pytest.approx(f1_score(y.numpy(), chosen.numpy(), average="micro"))
    assert score.accuracy == score.validation == score.last


def test_a_probe_reads_several_labels_and_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    x = [torch.randn(60, 8, generator=generator) for _ in range(4)]
    several = [(one, (one[:, :3] > 0).float()) for one in x]
    parts = (several[:2], several[2:3], several[3:])
    assert probe_parts(parts, 3, NodeProbeConfig(lr=0.05, epochs=150), 0).accuracy > 0.93
    noise = [(torch.randn(60, 8, generator=generator), y) for _, y in several]
    assert probe_parts((noise[:2], noise[2:3], noise[3:]), 3, NodeProbeConfig(epochs=50), 0).accuracy < 0.7
    single = [(one, torch.where(one[:, 7] > 1, -1, one[:, :3].argmax(1))) for one in x]
    parts = (single[:2], single[2:3], single[3:])
    assert probe_parts(parts, 3, NodeProbeConfig(lr=0.05, epochs=150), 0).accuracy > 0.85


def test_one_graph_in_two_parts() -> None:
    """Single labels, as of Reddit: pretraining sees the training nodes' graph, scores are on the whole one."""
    ring = torch.stack([torch.arange(40), torch.arange(40).roll(1)])
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    labels = (x[:, 0] > 0).long()
    whole, node = Graphs(x, ring), torch.arange(40)
    small = Graphs(x[:20], ring[:, (ring < 20).all(0)])
    val, test = (torch.where((node >= a) & (node < b), labels, -1) for a, b in ((20, 30), (30, 40)))
    data = InductiveSet(
        "made",
        InductivePart((small,), (labels[:20],)),
        InductivePart((whole,), (val,)),
        InductivePart((whole,), (test,)),
    )
    assert data.classes == 2
    torch.manual_seed(0)
    model = GraphMAE(GraphMAEConfig(4, GraphEncoderConfig(dim=8, heads=2)))
    train, _, tested = embed_parts(model, data)
    assert [len(part[0][0]) for part in (train, tested)] == [20, 40]

    assert probe_set(None, data, ProbeConfig(NodeProbeConfig(lr=0.1)), 0)[0] > 0.8


def test_bad_sets(tmp_path: Path, square: Graphs) -> None:
    one = InductivePart((square,), (torch.zeros(6, dtype=torch.int64),))
    with pytest.raises(UserError, match="mine, val: no graphs"):
        InductiveSet("mine", one, InductivePart((), ()), one)
    with pytest.raises(UserError, match="3 labels for 6 nodes"):
        InductiveSet("mine", one, one, InductivePart((square,), (torch.zeros(3, dtype=torch.int64),)))
    with pytest.raises(UserError, match="same in all parts"):
        InductiveSet("mine", one, one, InductivePart((square,), (torch.zeros(6, 2),)))
    with pytest.raises(UserError, match="no node has a label"):
        InductiveSet("mine", one, one, InductivePart((square,), (torch.full((6,), -1),)))
    with pytest.raises(UserError, match=r"no train_graph\.json"):
        ppi(tmp_path)
    folder = write(tmp_path / "raw")
    (folder / "test_graph.json").write_text('{"links": [{"source": 0, "target": 99}]}')
    with pytest.raises(UserError, match=r"test_graph\.json: links to nodes"):
        ppi(folder)
    (folder / "test_graph.json").write_text("{")
    with pytest.raises(UserError, match=r"test_graph\.json: not readable"):
        ppi(folder)
    np.save(folder / "valid_labels.npy", np.zeros((3, 3)))
    with pytest.raises(UserError, match="as many rows in each"):
        ppi(folder)


def test_the_command_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "raw")
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(
        f"system: graphmae\ndata: ppi:{folder}\nmodel: {{width: 4, encoder: {{dim: 16, heads: 2}}}}\n"
        "optim: {algorithm: adam, warmup_epochs: 0}\ntrain: {epochs: 2, batch_size: 2, last_batch: keep}\n"
        "probe_nodes: {lr: 0.05, epochs: 60}\n"
    )
    out = tmp_path / "run"
    assert run("mmgraph", ABOUT, COMMANDS, ["pretrain", str(recipe), "--out", str(out)]) == 0
    assert json.loads((out / "environment.json").read_text())["data"]["nodes"]["val"] == [15]
    assert run("mmgraph", ABOUT, COMMANDS, ["probe", str(out)]) == 0
    said = json.loads((out / "probe.json").read_text())
    assert said["score"] == "micro-F1"
    rows = {row["embeddings"]: row["mean"] for row in said["rows"]}
    assert rows["raw features"] > 0.85
    assert all(0 <= value <= 1 for value in rows.values())


def write_reddit(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    x, kinds = draws.normal(size=(60, 5)) * 3 + 1, np.repeat([1, 2, 3], [36, 12, 12])[draws.permutation(60)]
    pairs = draws.integers(0, 60, (2, 150))
    folder.mkdir()
    np.savez(folder / "reddit_data.npz", feature=x, label=(x[:, 0] > 1).astype(int), node_types=kinds, node_ids=kinds)
    sparse.save_npz(folder / "reddit_graph.npz", sparse.coo_matrix((np.ones(150), tuple(pairs)), shape=(60, 60)))
    return kinds, pairs


def test_reddit(tmp_path: Path) -> None:
    kinds, pairs = write_reddit(tmp_path / "raw")
    data = load(f"reddit:{tmp_path}")
    assert isinstance(data, InductiveSet)
    both = {p for a, b in pairs.T.tolist() if a != b for p in ((a, b), (b, a))}
    whole = data.test.graphs[0]
    assert {*map(tuple, whole.edge_index.t().tolist())} == both
    torch.testing.assert_close(whole.x.std(0, correction=0), torch.ones(5))
    nodes = (kinds == 1).nonzero()[0].tolist()
    small = data.train.graphs[0]
    assert torch.equal(small.x, whole.x[nodes])
    seen = {(nodes[a], nodes[b]) for a, b in small.edge_index.t().tolist()}
    assert seen == {(a, b) for a, b in both if {a, b} <= set(nodes)}
    for part, kind in ((data.val, 2), (data.test, 3)):
        assert ((part.labels[0] >= 0).numpy() == (kinds == kind)).all()
    with pytest.raises(UserError, match=r"no reddit_data\.npz"):
        load(f"reddit:{tmp_path / 'raw/x'}")
    (tmp_path / "raw/reddit_graph.npz").unlink()
    with pytest.raises(UserError, match=r"reddit_graph\.npz: not readable"):
        load(f"reddit:{tmp_path}")


def test_one_training_graph_is_sampled_and_all_are_embedded_in_blocks(tmp_path: Path) -> None:
    write_reddit(tmp_path / "raw")
    data = load(f"reddit:{tmp_path}")
    assert isinstance(data, InductiveSet)
    sampling = SamplingConfig(8, (3, 3))
    assert len(sampled(data, sampling, 0)) == 5  # 36 training nodes
    torch.manual_seed(0)
    model = GraphMAE(GraphMAEConfig(5, GraphEncoderConfig(dim=8, heads=2))).eval()
    for ours, whole in zip(embed_parts(model, data, sampling), embed_parts(model, data), strict=True):
        torch.testing.assert_close(ours[0][0], whole[0][0])
        assert torch.equal(ours[0][1], whole[0][1])
