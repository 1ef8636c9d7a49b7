from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from core.cli.app import run
from core.errors import UserError
from core.random import generator
from mmgraph.attribute_masks import AttributeMask, count_attributes, first_of_pairs, mask_attributes, touching_edges
from mmgraph.cli import ABOUT, COMMANDS
from mmgraph.config import AttrMaskingConfig, GraphProbeConfig
from mmgraph.data.sets import GraphSet
from mmgraph.embedding import embed_graphs
from mmgraph.graph import Graphs, join
from mmgraph.layers.categories import count_edges
from mmgraph.layers.edge_gin import EdgeGINLayer
from mmgraph.layers.pool import pool_nodes
from mmgraph.models.attr_masking import AttrMasking, category_loss
from mmgraph.models.attr_masking_official import from_official, load_official, to_official

CHEM = AttrMaskingConfig(dim=32, mask_edges=True)
SMALL = AttrMaskingConfig((4, 2), (3, 2), predict_nodes=(0, 1), predict_edges=(1, 0), mask_edges=True, dim=8, depth=2)


@pytest.fixture
def batch(square: Graphs) -> Graphs:
    """The square (with a self-loop) and two lonely nodes, with categories; both directions of an edge have the same."""
    draws = torch.Generator().manual_seed(1)
    x = torch.stack([torch.randint(4, (6,), generator=draws), torch.randint(2, (6,), generator=draws)], 1)
    ways = torch.stack([torch.randint(3, (5,), generator=draws), torch.randint(2, (5,), generator=draws)], 1)
    return Graphs(x, square.edge_index, square.offsets, torch.cat([ways, ways, torch.tensor([[0, 0]])]))


class Golden:
    """Weights, inputs and results of the official implementation on six molecules."""

    def __init__(self, shared: Path) -> None:
        self.arrays = np.load(shared / "golden/pretrain_gnns_gin.npz")
        self.weights = {
            key.removeprefix(part): self[key]
            for part in ("weight/", "head/")
            for key in self.arrays
            if key.startswith(part)
        }
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), self["in/batch"].bincount().cumsum(0)])
        self.graphs = Graphs(self["in/x"], self["in/edge_index"], offsets, self["in/edge_attr"])
        hidden = torch.zeros(len(self.graphs.x), dtype=torch.bool)
        hidden[self["mask/masked_atom_indices"]] = True
        edges = hidden[self.graphs.edge_index].any(0).nonzero().squeeze(1)
        self.mask = AttributeMask(hidden, offsets, edges, self["mask/connected_edge_indices"])
        self.order = self["mask/masked_atom_indices"].argsort()

    def __getitem__(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[key])


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.detach().abs().max()))


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_parity(shared: Path, mode: str) -> None:
    golden = Golden(shared)
    model = load_official(golden.weights, "golden", mask_edges=True).train(mode == "train")
    assert model.config == CHEM
    output = model(golden.graphs, golden.mask)
    close(output.latent, golden[f"{mode}/masked_node_embedding"])
    close(output.predictions["node"], golden[f"{mode}/atom_logits"][golden.order])
    close(output.predictions["edge"], golden[f"{mode}/bond_logits"])
    assert torch.equal(output.targets["node"], golden["mask/node_label"][golden.order, :1])
    assert torch.equal(output.targets["edge"], golden["mask/edge_label"][:, :1])
    close(output.parts["node"], golden[f"{mode}/loss_atom"])
    close(output.parts["edge"], golden[f"{mode}/loss_bond"])
    close(output.loss, golden[f"{mode}/loss"])
    output.loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    for part, ours in (("grad", gradients), ("after", model.state_dict())):
        keys = [key for key in golden.arrays if key.startswith(f"{mode}/{part}/")]
        theirs = from_official({key.removeprefix(f"{mode}/{part}/"): golden[key] for key in keys}, CHEM)
        assert len(theirs) == {"grad": 4, "after": 10 if mode == "train" else 0}[part]
        for name, tensor in theirs.items():
            found = ours[name]
            assert found is not None
            close(found, tensor)


def test_parity_of_embeddings(shared: Path) -> None:
    golden = Golden(shared)
    model = load_official(golden.weights, "golden", mask_edges=True)
    close(model.encode(golden.graphs), golden["eval/node_embedding"])
    close(pool_nodes(model.encode(golden.graphs), golden.graphs, "mean"), golden["eval/mean_pool"])


def test_the_rule_of_the_mask_is_the_official_one(shared: Path) -> None:
    golden = Golden(shared)
    mask = mask_attributes(golden.graphs, 0.15, True, generator(0))
    assert mask.counts.tolist() == golden.mask.counts.tolist()
    # With the official atoms given, the same edges are hidden and scored.
    touched = touching_edges(golden.graphs.edge_index, golden.mask.hidden)
    assert torch.equal(touched, (golden["mask/edge_attr"] != golden["in/edge_attr"]).any(1).nonzero().squeeze(1))
    assert golden.graphs.edge_attr is not None
    scored = first_of_pairs(golden.graphs.edge_index, golden.graphs.edge_attr, touched)
    assert torch.equal(scored, golden["mask/connected_edge_indices"])


def test_official_checkpoints(shared: Path) -> None:
    golden = Golden(shared)
    gnn = {name: tensor for name, tensor in golden.weights.items() if "linear_pred" not in name}
    model = load_official(gnn, "masking.pth")  # as released: no heads
    close(model.encode(golden.graphs), golden["eval/node_embedding"])
    assert list(model.objectives) == ["node"]
    full = load_official(golden.weights, "golden", mask_edges=True)
    back = to_official(full.state_dict(), full.config)
    assert set(back) == set(golden.weights)
    assert all(torch.equal(back[name], tensor) for name, tensor in golden.weights.items())
    with pytest.raises(UserError, match=r"linear_pred_bonds.weight is not an entry"):
        load_official(golden.weights, "golden")
    with pytest.raises(UserError, match=r"masking.pth: .* 1 missing \(encoder.stack.layers.3.outer.bias\)"):
        load_official({name: gnn[name] for name in gnn if name != "gnns.3.mlp.2.bias"}, "masking.pth")
    with pytest.raises(UserError, match=r"mine.pth: not a checkpoint of pretrain-gnns"):
        load_official({"weight": torch.ones(1)}, "mine.pth")
    with pytest.raises(UserError, match=r"gnns.0.eps is not an entry"):
        load_official(gnn | {"gnns.0.eps": torch.ones(1)}, "masking.pth")


def test_published_size() -> None:
    with torch.device("meta"):
        encoder = AttrMasking(AttrMaskingConfig()).encoder
    # 5 layers of 300: tables of 120 + 3 and 5 x (6 + 3) rows, MLPs 300 - 600 - 300, batch norms.
    assert sum(p.numel() for p in encoder.parameters()) == 300 * (123 + 45) + 5 * (300 * 600 * 2 + 900) + 5 * 600


def test_a_layer_is_a_sum_over_edges(batch: Graphs) -> None:
    torch.manual_seed(0)
    layer = EdgeGINLayer(8, (5, 2)).double()
    x = torch.randn(6, 8, dtype=torch.float64)
    assert batch.edge_attr is not None
    counts = count_edges(batch, batch.edge_attr, (5, 2), 3).double()
    first, second = layer.edges.columns
    expected = torch.stack([x[node] + first.weight[3] + second.weight[0] for node in range(6)])
    for (source, target), (a, b) in zip(batch.edge_index.t().tolist(), batch.edge_attr.tolist(), strict=True):
        if source != target:
            expected[target] += x[source] + first.weight[a] + second.weight[b]
    torch.testing.assert_close(layer(x, batch.edges, counts), layer.outer(F.relu(layer.inner(expected))))
    assert counts.sum(1).tolist() == [2 * (1 + n) for n in (3, 2, 3, 2, 0, 0)]


def test_a_batch_is_its_graphs_and_nodes_have_no_order(batch: Graphs) -> None:
    torch.manual_seed(0)
    for config in (SMALL, AttrMaskingConfig((4, 2), (), dim=8)):
        model = AttrMasking(config).eval()
        given = batch if config.edge_vocabulary else Graphs(batch.x, batch.edge_index, batch.offsets)
        alone = model.encode(given)
        close(model.encode(join([given, given])), torch.cat([alone, alone]))
        order, shuffled = torch.tensor([3, 5, 0, 1, 4, 2]), torch.randperm(11, generator=generator(1))
        moved = order.argsort()[given.edge_index][:, shuffled]
        attributes = None if given.edge_attr is None else given.edge_attr[shuffled]
        close(model.encode(Graphs(given.x[order], moved, edge_attr=attributes)), alone[order])


@given(st.integers(1, 200), st.sampled_from([0.01, 0.15, 0.5, 0.75, 0.9, 0.99]))
def test_counts(nodes: int, ratio: float) -> None:
    count = count_attributes(nodes, ratio)
    assert 1 <= count <= max(nodes - 1, 1)
    if nodes * (1 - ratio) > 1 + 1e-9:
        assert count == int(round(nodes * ratio, 9) + 1)


def test_every_graph_is_masked_by_its_own_generator(batch: Graphs) -> None:
    single = Graphs(batch.x[:1], torch.zeros(2, 0, dtype=torch.int64), None, torch.zeros(0, 2, dtype=torch.int64))
    graphs = [batch, single]
    mask = mask_attributes(join(graphs), 0.15, True, [generator(n) for n in range(3)])
    assert mask.counts.tolist() == [1, 1, 1]
    alone = mask_attributes(batch, 0.15, True, [generator(0), generator(1)])
    assert torch.equal(mask.hidden[:6], alone.hidden)
    assert torch.equal(mask.edges, alone.edges)
    again = mask_attributes(batch, 0.15, True, [generator(0), generator(1)])
    assert torch.equal(again.hidden, alone.hidden)
    drawn = torch.stack([mask_attributes(batch, 0.5, False, generator(n)).hidden.float() for n in range(2000)]).mean(0)
    assert (drawn - torch.tensor([0.75] * 4 + [0.5] * 2)).abs().max() < 0.06  # five deviations


def test_edges_of_hidden_nodes(batch: Graphs) -> None:
    hidden = torch.tensor([False, True, False, False, False, False])
    touched = touching_edges(batch.edge_index, hidden)
    assert touched.tolist() == [0, 1, 5, 6]  # 0-1 and 1-2 in both directions; the self-loop of 1 is no edge
    assert batch.edge_attr is not None
    assert first_of_pairs(batch.edge_index, batch.edge_attr, touched).tolist() == [0, 1]
    directed = batch.edge_attr.clone()
    directed[5] = (directed[5] + 1) % 2
    assert first_of_pairs(batch.edge_index, directed, touched).tolist() == [0, 1, 5]


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_what_is_hidden_is_not_seen(batch: Graphs, mode: str) -> None:
    torch.manual_seed(0)
    model = AttrMasking(SMALL).train(mode == "train")
    mask = model.draw_mask(batch, generator(4))
    assert len(mask.edges)
    assert batch.edge_attr is not None
    x, attributes = batch.x.clone(), batch.edge_attr.clone()
    x[mask.hidden_index] = (x[mask.hidden_index] + 1) % 2
    attributes[mask.edges] = (attributes[mask.edges] + 1) % 2
    attributes[-1] = 1  # the self-loop in the data is replaced by one of our own
    changed = Graphs(x, batch.edge_index, batch.offsets, attributes)
    one, other = model(batch, mask), model(changed, mask)
    assert torch.equal(one.latent, other.latent)
    assert not torch.equal(one.targets["node"], other.targets["node"])
    assert not torch.equal(one.loss, other.loss)
    visible = batch.x.clone()
    visible[mask.visible_index[0]] = (visible[mask.visible_index[0]] + 1) % 2
    assert not torch.equal(one.latent, model(Graphs(visible, batch.edge_index, batch.offsets, attributes), mask).latent)


def test_a_given_mask_replays_and_the_data_stays_as_it_is(batch: Graphs) -> None:
    model = AttrMasking(SMALL).eval()
    data = GraphSet("mine", tuple(batch for _ in range(3)), np.array([0, 1, 0]))
    assert batch.edge_attr is not None
    before = batch.x.clone(), batch.edge_index.clone(), batch.edge_attr.clone()
    losses = set()
    for number in range(20):
        together = data.collate([data.sample(n, generator(0)) for n in range(3)])
        mask = model.draw_mask(together, [generator(number, n) for n in range(6)])
        output = model(together, mask)
        assert torch.equal(output.loss, model(together, mask).loss)
        losses.add(float(output.loss.detach()))
        # Even a batch of one graph, which is the data set's own object, stays as it is.
        model(data.collate([data.sample(0, generator(0))]), model.draw_mask(batch, generator(number))).loss.backward()
    assert len(losses) > 10
    for tensor, old in zip((batch.x, batch.edge_index, batch.edge_attr), before, strict=True):
        assert torch.equal(tensor, old)


def test_the_loss_is_summed_over_columns_in_double_precision(batch: Graphs) -> None:
    model = AttrMasking(SMALL)
    mask = model.draw_mask(batch, generator(0))
    output = model(batch, mask)
    logits, target = output.predictions["edge"].double(), output.targets["edge"]
    assert batch.edge_attr is not None
    assert torch.equal(target, batch.edge_attr[mask.scored].flip(1))  # columns in the order they were asked for
    expected = F.cross_entropy(logits[:, :2], target[:, 0]) + F.cross_entropy(logits[:, 2:], target[:, 1])
    torch.testing.assert_close(output.parts["edge"], expected.detach())
    assert output.loss.dtype == torch.float64
    nothing = category_loss(torch.zeros(0, 5, requires_grad=True), torch.zeros(0, 2, dtype=torch.int64), (3, 2))
    assert float(nothing.detach()) == 0
    nothing.backward()


def test_save_and_load(batch: Graphs, tmp_path: Path) -> None:
    model = AttrMasking(SMALL).eval()
    model.save_pretrained(tmp_path)
    loaded = AttrMasking.from_pretrained(tmp_path)
    assert loaded.config == SMALL
    assert torch.equal(loaded.encode(batch), model.encode(batch))


@pytest.mark.parametrize(
    ("nodes", "edges", "said"),
    [
        ((3, 2), (3, 2), r"mine: its nodes have 4 and 2 categories; model.node_vocabulary is \[3, 2\], expected \[4, 2\] "
         r"\(graph \d has category 3 in column 0\)"),
        ((4,), (3, 2), r"its nodes have 4 and 2 categories; model.node_vocabulary is \[4\], expected \[4, 2\]"),
        ((4, 2), (3, 1), r"its edges have 3 and 2 categories; .* expected \[3, 2\] \(graph 0 has category 1 in column 1\)"),
        ((4, 2), (), r"its edges have 3 and 2 categories; model.edge_vocabulary is \[\], expected \[3, 2\]"),
    ],
)  # fmt: skip
def test_categories_outside_the_vocabulary(
    batch: Graphs, nodes: tuple[int, ...], edges: tuple[int, ...], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        AttrMasking(AttrMaskingConfig(nodes, edges, dim=8, depth=1)).check(batch, "mine")


def test_other_data(batch: Graphs) -> None:
    model = AttrMasking(SMALL)
    model.check(batch, "mine")
    AttrMasking(AttrMaskingConfig((9, 9), (9, 9), dim=8, depth=1)).check(batch, "mine")  # larger ones fit
    with pytest.raises(UserError, match="its nodes have features"):
        model.check(Graphs(batch.x.float(), batch.edge_index, edge_attr=batch.edge_attr), "mine")
    with pytest.raises(UserError, match=r"its edges have no categories; model.edge_vocabulary is \[3, 2\]"):
        model.check(Graphs(batch.x, batch.edge_index), "mine")
    with pytest.raises(UserError, match=r"mine: its nodes have 5 and 2 .*; its edges have no categories"):
        model.check(Graphs(batch.x + torch.tensor([1, 0]), batch.edge_index), "mine")
    with pytest.raises(UserError, match="has category -1 in column 0"):
        model.check(Graphs(batch.x - 1, batch.edge_index, edge_attr=batch.edge_attr), "mine")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"node_vocabulary": ()}, "node_vocabulary"),
        ({"node_vocabulary": (0, 3)}, "at least 1 category"),
        ({"predict_nodes": (2,)}, r"predict_nodes \[2\]: expected some of the columns 0 to 1"),
        ({"predict_nodes": ()}, "predict_nodes"),
        ({"edge_vocabulary": (), "mask_edges": True}, "mask_edges needs edges with categories"),
        ({"mask_ratio": 1.0}, "mask_ratio"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_bad_settings(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AttrMaskingConfig(**settings)  # type: ignore[arg-type]


def test_raw_features_are_pooled_one_hot_vectors(batch: Graphs) -> None:
    other = Graphs(torch.tensor([[1, 0], [5, 1]]), torch.tensor([[0], [1]]), edge_attr=batch.edge_attr[:1])
    data = GraphSet("mine", (batch, other), np.array([0, 1]))
    raw = embed_graphs(None, GraphSet("mine", data.graphs[1:], np.array([0])), GraphProbeConfig("mean"))
    assert raw.tolist() == [[0, 0.5, 0, 0, 0, 0.5, 0.5, 0.5]]


def write_rings(root: Path) -> Path:
    """Forty rings of six in the text form of TUDataset; a class is a share of labels; edges join like or unlike nodes."""
    folder = root / "RINGS"
    folder.mkdir()
    draws = np.random.default_rng(0)
    labels = np.concatenate([draws.random(6) < (0.2 if graph % 2 else 0.6) for graph in range(40)]).astype(int) + 1
    pairs = [(6 * g + n, 6 * g + (n + 1) % 6) for g in range(40) for n in range(6)]
    pairs += [(b, a) for a, b in pairs]
    files = {
        "A": [f"{a + 1}, {b + 1}" for a, b in pairs],
        "graph_indicator": [n // 6 + 1 for n in range(240)],
        "graph_labels": [g % 2 for g in range(40)],
        "node_labels": labels,
        "edge_labels": [int(labels[a] == labels[b]) for a, b in pairs],
    }
    for name, lines in files.items():
        (folder / f"RINGS_{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_the_command_line_pretrains_and_probes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = f"tu_categories:{write_rings(tmp_path)}"
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(
        f"system: attr_masking\ndata: {source}\n"
        "model: {node_vocabulary: [2], edge_vocabulary: [2], mask_edges: true, dim: 8, depth: 2}\n"
        "train: {epochs: 4, batch_size: 16, last_batch: keep}\n"
    )

    def command(*words: object) -> int:
        return run("mmgraph", ABOUT, COMMANDS, [str(word) for word in words])

    out = tmp_path / "run"
    assert command("pretrain", recipe, "--out", out) == 0
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {"loss", "loss_node", "loss_edge"} <= set(rows[-1])
    assert command("probe", out) == 0
    said = json.loads((out / "probe.json").read_text())
    assert [row["embeddings"] for row in said["rows"]] == ["pretrained", "untrained", "raw features"]
    assert said["rows"][2]["mean"] > 0.6
    capsys.readouterr()
    assert command("pretrain", recipe, "--model.node_vocabulary", "[1]", "--out", tmp_path / "other") == 2
    error = capsys.readouterr().err
    assert "its nodes have 2 categories; model.node_vocabulary is [1], expected [2]" in error
    assert not (tmp_path / "other").exists()
