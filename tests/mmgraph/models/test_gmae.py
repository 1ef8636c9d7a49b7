"""GMAE against a plain reference that reads official state dicts; symmetry, padding, masks, ego-graphs, the command line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gmae_reference import Reference, official_weights
from torch.nn import functional as F

from core.cli.app import run
from core.errors import UserError
from core.masking import Mask
from core.random import generator
from mmgraph.cli import ABOUT, COMMANDS
from mmgraph.config import GMAEConfig
from mmgraph.data.ego import EgoSet, draw_ego
from mmgraph.data.parts import LabelledEgos, LabelledNodes, as_egos
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.structured import StructuredSet
from mmgraph.embedding import embed_nodes
from mmgraph.graph import Graphs, join
from mmgraph.layers import padding
from mmgraph.models.gmae import GMAE
from mmgraph.models.gmae_official import from_official
from mmgraph.structure import join_structured, spans, with_structure

SMALL = GMAEConfig(
    offset=1.0, width=5, dim=8, heads=2, depth=3, decoder_depth=2, input_dropout=0, dropout=0, attention_dropout=0
)
TOY = dataclasses.replace(SMALL, max_degree=3, max_distance=2)


def make(config: GMAEConfig = SMALL) -> GMAE:
    torch.manual_seed(0)
    model = GMAE(config).double()
    for parameter in model.parameters():  # nothing may hide behind small weights, ones and zeros
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model.eval()


def path_graph(nodes: int, seed: int = 0) -> Graphs:
    one_way = torch.stack([torch.arange(nodes - 1), torch.arange(1, nodes)])
    x = torch.randn(nodes, 5, generator=generator(nodes, seed), dtype=torch.float64)
    return Graphs(x, torch.cat([one_way, one_way.flip(0)], 1))


def double(graphs: Graphs) -> Graphs:
    return Graphs(graphs.x.double(), graphs.edge_index, graphs.offsets)


@pytest.mark.parametrize(("unreachable", "offset"), [("cut", 1.0), ("bias", 1.0), ("cut", 0.0)])
def test_the_official_model_written_out(square: Graphs, unreachable: str, offset: float) -> None:
    config = dataclasses.replace(SMALL, unreachable=unreachable, offset=offset)
    weights = official_weights(config)
    model = GMAE(config).double().eval()
    model.load_state_dict(from_official(weights, config))
    lonely = Graphs(square.x[:6], torch.tensor([[0, 1, 1, 2, 4, 5], [1, 0, 2, 1, 5, 4]]))  # 3 alone, two components
    directed = Graphs(square.x[:4], torch.tensor([[0, 1, 2, 2, 3], [1, 2, 0, 3, 3]]))
    graphs = [double(g) for g in (lonely, directed, Graphs(square.x[:4], square.edge_index))]
    hidden = [[1, 5], [0, 3], [2]]
    references = [Reference(weights, config, g) for g in graphs]
    batch = join(graphs)
    expected = torch.cat([r.encode(list(range(r.nodes))) for r in references])
    torch.testing.assert_close(model.encode(batch), expected)
    flags = torch.zeros(len(batch.x), dtype=torch.bool)
    for start, nodes in zip(batch.offsets.tolist(), hidden, strict=False):
        flags[[start + node for node in nodes]] = True
    output = model(batch, Mask(flags, batch.offsets))
    prediction = torch.cat([r.reconstruct(nodes) for r, nodes in zip(references, hidden, strict=True)])
    target = torch.cat([r.x[nodes] for r, nodes in zip(references, hidden, strict=True)])
    torch.testing.assert_close(output.predictions["mse"], prediction - (1 - offset))
    torch.testing.assert_close(output.loss, (prediction - target).square().mean())


def test_official_categories_are_a_linear_layer() -> None:
    config = dataclasses.replace(SMALL, loss="bce", offset=0.7)
    weights = official_weights(config)
    del weights["input_proj.weight"], weights["input_proj.bias"]
    table = weights["atom_encoder.weight"] = torch.randn(512 * 5 + 1, 8, dtype=torch.float64)
    weights["graph_token.weight"] = torch.zeros(1, 8, dtype=torch.float64)
    model = GMAE(config).double()
    model.load_state_dict(from_official(weights, config))
    x = torch.tensor([[0.0, 1, 0, 0, 0], [0, 0, 0, 0, 1]], dtype=torch.float64)
    rows = x.long() + 1 + 512 * torch.arange(5) + 1
    torch.testing.assert_close(model.encoder.input(x + config.offset), table[rows].sum(1))
    for name in ("edge_encoder.weight", "encoder_layers.0.self_attention.linear_x.weight", "surprise"):
        with pytest.raises(UserError, match="not an entry"):
            from_official({name: torch.zeros(1)}, config)
    with pytest.raises(UserError, match="all three"):
        from_official({"encoder_layers.0.self_attention.linear_q.weight": torch.zeros(1)}, config)


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_targets_are_features(square: Graphs, loss: str) -> None:
    config = dataclasses.replace(SMALL, loss=loss, offset=0.5)
    graphs = Graphs((square.x > 0).double(), square.edge_index, square.offsets)
    before = graphs.x.clone()
    output = make(config)(graphs, mask := GMAE(config).draw_mask(graphs, generator(0)))
    flags = (before > 0).double()[mask.hidden_index]
    prediction, target = output.predictions[loss], output.targets[loss]
    assert torch.equal(target, flags + 0.5 if loss == "mse" else flags)
    likelihood = flags * F.logsigmoid(prediction) + (1 - flags) * F.logsigmoid(-prediction)
    expected = (prediction - flags - 0.5).square() if loss == "mse" else -likelihood
    torch.testing.assert_close(output.loss, expected.mean())
    assert torch.equal(graphs.x, before)


def test_sizes_of_the_mask() -> None:
    config = dataclasses.replace(SMALL, mask_ratio=0.8)
    graphs = join([path_graph(n) for n in (1, 2, 3, 10, 7)])
    mask = GMAE(config).draw_mask(graphs, generator(0))
    assert mask.counts.tolist() == [0, 1, 2, 8, 5]
    again = GMAE(config).draw_mask(graphs, generator(0))
    assert torch.equal(mask.hidden, again.hidden)


def test_hidden_features_change_the_target_alone(square: Graphs) -> None:
    model = make()
    graphs = double(square)
    mask = model.draw_mask(graphs, generator(3))
    graphs.x.requires_grad_()
    output = model(graphs, mask)
    (gradient,) = torch.autograd.grad(output.predictions["mse"].square().sum(), graphs.x)
    assert not gradient[mask.hidden_index].any()
    assert gradient[mask.visible_index].any()
    changed = Graphs(graphs.x.detach() + mask.hidden[:, None], graphs.edge_index, graphs.offsets)
    other = model(changed, mask)
    assert torch.equal(other.predictions["mse"], output.predictions["mse"])
    assert torch.equal(other.latent.tokens, output.latent.tokens)
    torch.testing.assert_close(other.targets["mse"], output.targets["mse"] + 1)
    assert len(output.latent.tokens) == int((~mask.hidden).sum())  # they are not in the encoder at all


@pytest.mark.parametrize("config", [SMALL, TOY], ids=["large tables", "small tables"])
def test_permuting_nodes_permutes_everything(config: GMAEConfig) -> None:
    model, graph = make(config), path_graph(9)
    mask = model.draw_mask(graph, generator(0))
    order = torch.randperm(9, generator=generator(1))
    moved = Graphs(graph.x[order], order.argsort()[graph.edge_index])
    torch.testing.assert_close(model.encode(moved), model.encode(graph)[order])
    torch.testing.assert_close(model(moved, Mask(mask.hidden[order], graph.offsets)).loss, model(graph, mask).loss)


@pytest.mark.parametrize("pairs", [1, 60, 1 << 20])
def test_padding_changes_nothing(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    graphs = [path_graph(n, seed) for seed, n in enumerate((3, 9, 1, 4, 9, 2))]
    batch = join(graphs)
    alone = torch.cat([model.encode(g) for g in graphs])
    mask = model.draw_mask(batch, generator(0))
    parts = [Mask(m, g.offsets) for m, g in zip(mask.hidden.split([len(g.x) for g in graphs]), graphs, strict=True)]
    errors = torch.cat([(model(g, m).predictions["mse"]) for g, m in zip(graphs, parts, strict=True)])
    monkeypatch.setattr("mmgraph.layers.graph_transformer.pad", lambda *a: padding.pad(*a, pairs=pairs))
    torch.testing.assert_close(model.encode(batch), alone)
    torch.testing.assert_close(model(batch, mask).predictions["mse"], errors)


def test_groups() -> None:
    assert padding.group_by_size([3, 9, 0, 4, 9], 1 << 20) == [[1, 4, 3, 0]]
    assert padding.group_by_size([3, 9, 0, 4, 9], 40) == [[1], [4], [3, 0]]
    assert spans(np.array([0, 5, 8, 20, 21, 22]), 8) == [(0, 2), (2, 3), (3, 5)]


def test_structure(square: Graphs) -> None:
    found = with_structure(square).structure
    assert found.in_degree.tolist() == [3, 3, 3, 2, 0, 0]  # the self-loop of node 1 counts
    assert found.distance[:16].view(4, 4).tolist() == [[0, 1, 1, 1], [1, 0, 1, 2], [1, 1, 0, 1], [1, 2, 1, 0]]
    assert found.distance[16:].tolist() == [0, -1, -1, 0]
    twice = Graphs(torch.ones(3, 1), torch.tensor([[0, 0, 1], [1, 1, 2]]))
    assert with_structure(twice).structure.out_degree.tolist() == [1, 1, 0]
    assert with_structure(twice).structure.distance.tolist() == [0, 1, 2, -1, 0, 1, -1, -1, 0]
    assert with_structure(
        Graphs(torch.ones(1, 1), torch.zeros(2, 0, dtype=torch.int64))
    ).structure.distance.tolist() == [0]


def test_paths_of_batches_are_those_of_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = [path_graph(n) for n in (3, 9, 1, 4)]
    alone = join_structured([with_structure(g) for g in graphs])
    for together in (1, 5, 256):
        monkeypatch.setattr("mmgraph.structure.TOGETHER", together)
        batch = with_structure(join(graphs))
        assert all(torch.equal(a, b) for a, b in zip(batch.structure, alone.structure, strict=True))
    assert with_structure(batch) is batch
    assert join_structured(graphs).offsets.tolist() == alone.offsets.tolist()
    monkeypatch.setattr("mmgraph.structure.LARGEST", 8)
    with pytest.raises(UserError, match="a graph of 9 nodes"):
        with_structure(join(graphs))


def test_far_and_popular_nodes_share_the_last_row() -> None:
    """A star of 5 leaves, degree 5 above 3; a path of 5, distance 4 above 2."""
    model = make(TOY)
    model.encoder.distances.weight.grad = None
    star = Graphs(
        torch.randn(6, 5, dtype=torch.float64), torch.tensor([[0] * 5 + [1, 2, 3, 4, 5], [1, 2, 3, 4, 5] + [0] * 5])
    )
    model.encode(join([star, path_graph(5)])).square().sum().backward()
    used = [t.weight.grad.abs().sum(1) > 0 for t in (model.encoder.degrees.incoming, model.encoder.distances)]  # type: ignore[union-attr]
    assert used[0].tolist() == [False, True, True, True]
    assert used[1].tolist() == [True, True, True, False]


def ring(nodes: int, *offsets: int) -> NodeSet:
    """Each node is joined to those some places further, both ways."""
    at = torch.arange(nodes)
    edges = torch.cat([torch.stack([at, (at + o) % nodes]) for o in (*offsets, *(-o for o in offsets))], 1)
    x = torch.randn(nodes, 5, generator=generator(nodes))
    parts = torch.arange(nodes).split([nodes // 2, nodes // 4, nodes - nodes // 2 - nodes // 4])
    return NodeSet("ring", Graphs(x, edges), torch.arange(nodes) % 2, *parts)


def test_an_ego_graph_without_choice() -> None:
    """Where nobody has more neighbours than are drawn, all within two hops are there, with the edges of the first."""
    data = ring(12, 1)
    egos = EgoSet(data.graph, (2, 2))
    ego = egos.sample(4, generator(0))
    names = {tuple(row.tolist()): node for node, row in enumerate(data.graph.x)}
    nodes = [names[tuple(row.tolist())] for row in ego.x]
    assert nodes[0] == 4
    assert sorted(nodes) == [2, 3, 4, 5, 6]
    edges = {(nodes[a], nodes[b]) for a, b in ego.edge_index.T.tolist()}
    assert edges == {(a, b) for a in nodes for b in nodes if abs(a - b) == 1}
    assert len(egos) == 12


def test_egos_are_replayed_bounded_and_leave_the_graph_alone() -> None:
    data = ring(40, 1, 2, 3, 4, 5)
    before = data.graph.x.clone()
    egos = EgoSet(data.graph, (3, 2))
    one, same, other = (egos.sample(7, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.x, same.x)
    assert torch.equal(one.edge_index, same.edge_index)
    assert not (one.x.shape == other.x.shape and torch.equal(one.x, other.x))
    for node in range(40):
        ego = draw_ego(egos.neighbours, node, (3, 2), generator(node))
        assert ego.nodes[0] == node
        assert len(set(ego.nodes.tolist())) == len(ego.nodes) <= 1 + 3 + 4 * 2
        assert np.bincount(ego.row).max() <= 2
        ends = (ego.nodes[ego.row] - ego.nodes[ego.column]) % 40
        assert set(ends.tolist()) <= {1, 2, 3, 4, 5, 35, 36, 37, 38, 39}
    assert torch.equal(data.graph.x, before)


def test_an_isolated_node_is_its_own_ego_graph() -> None:
    data = ring(12, 1)
    graph = Graphs(torch.cat([data.graph.x, torch.ones(1, 5)]), data.graph.edge_index)
    alone = NodeSet("ring", graph, torch.arange(13) % 2, data.train, data.val, data.test)
    ego = EgoSet(alone.graph, (2, 2)).sample(12, generator(0))
    assert (len(ego.x), ego.edge_index.shape) == (1, (2, 0))
    assert make(SMALL).float().encode(ego).isfinite().all()


def test_nodes_are_embedded_as_roots() -> None:
    model, data = make().float(), ring(12, 1)
    model.config.views, model.config.neighbours = 2, (2, 2)
    embeddings = embed_nodes(model, data)
    assert torch.equal(embeddings, embed_nodes(model, data))
    egos = EgoSet(data.graph, (2, 2))
    with torch.no_grad():
        expected = [model.encode(egos.sample(node, generator(node)))[0] for node in range(12)]  # all draws are the same
    torch.testing.assert_close(embeddings, torch.stack(expected))


def test_small_graphs_bring_their_structure(square: Graphs) -> None:
    data = GraphSet(
        "paths", tuple(Graphs(path_graph(n).x.float(), path_graph(n).edge_index) for n in (3, 9, 4)), np.arange(3)
    )
    structured = StructuredSet(data, largest=5)
    assert len(structured) == 2
    samples = [structured.sample(index, generator(0)) for index in range(2)]
    assert samples[1] is structured.sample(1, generator(1))
    batch = structured.collate(samples)
    model = make().float()
    assert torch.equal(model.encode(batch), model.encode(join([data.graphs[0], data.graphs[2]])))
    with pytest.raises(UserError, match="no graph of at most 2 nodes"):
        StructuredSet(data, largest=2)


def test_what_it_is_given_is_checked(square: Graphs) -> None:
    with pytest.raises(UserError, match="5 features a node; the model takes 4"):
        GMAE(dataclasses.replace(SMALL, width=4)).check(square, "mine")
    with pytest.raises(UserError, match=r"mine: features outside \[0, 1\]"):
        GMAE(dataclasses.replace(SMALL, loss="bce")).check(square, "mine")
    GMAE(dataclasses.replace(SMALL, loss="bce")).check(Graphs(square.x.sigmoid(), square.edge_index), "mine")
    for wrong in ({"heads": 3}, {"mask_ratio": 1.0}, {"neighbours": (0, 3)}, {"mlp_ratio": 0.01}, {"largest": 1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            dataclasses.replace(SMALL, **wrong)


def test_initial_weights() -> None:
    torch.manual_seed(0)
    model = GMAE(GMAEConfig())
    assert float(model.encoder.input.weight.detach().std()) == pytest.approx(0.02 / 2, rel=0.02)  # depth 4
    assert float(model.encoder.degrees.incoming.weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert not model.encoder.input.bias.any()
    graphs = GMAE(GMAEConfig(loss="bce")).encoder.input  # as the difference of two rows of a table
    assert float(graphs.weight.detach().std()) == pytest.approx(0.02 * 2**0.5, rel=0.02)
    head = model.objectives["mse"].head
    assert not head.token.any()


def test_saved_and_loaded(tmp_path: Path, square: Graphs) -> None:
    model = make(dataclasses.replace(SMALL, neighbours=(4, 2))).float()
    model.save_pretrained(tmp_path)
    again = GMAE.from_pretrained(tmp_path)
    assert again.config == model.config
    assert torch.equal(again.encode(square), model.encode(square))


@pytest.mark.parametrize("kind", ["nodes", "graphs"])
def test_the_command_line(kind: str, tmp_path: Path, shared: Path) -> None:
    recipe = tmp_path / "tiny.yaml"
    data, model, train = {
        "nodes": ("digits", "width: 64, views: 1", "epochs: 1, batch_size: 256"),
        "graphs": (
            f"tu:{shared}/data/graphs/tu/MUTAG",
            "width: 7, loss: bce, unreachable: bias",
            "epochs: 2, batch_size: 64",
        ),
    }[kind]
    recipe.write_text(
        f"system: gmae\ndata: {data}\nmodel: {{dim: 8, heads: 2, depth: 1, decoder_depth: 1, {model}}}\n"
        f"optim: {{schedule: linear, warmup_epochs: 0.5}}\ntrain: {{{train}}}\nprobe_nodes: {{epochs: 20}}\n"
    )

    def command(*words: object) -> int:
        return run("mmgraph", ABOUT, COMMANDS, [str(word) for word in words])

    out = tmp_path / "run"
    assert command("pretrain", recipe, "--out", out) == 0
    losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite(losses).all()
    assert command("probe", out, "--controls", "false") == 0
    (row,) = json.loads((out / "probe.json").read_text())["rows"]
    assert 0.05 < row["mean"] <= 1


def test_labelled_roots() -> None:
    """Only roots have labels; training draws anew, scoring does not; parts of graphs stay as they are."""
    data = ring(40, 1, 6)
    part = LabelledNodes(data, data.val)
    egos = as_egos((part, part, part), (2, 2))[1]
    assert isinstance(egos, LabelledEgos)
    assert (len(egos), egos.count, egos.classes) == (len(data.val), len(data.val), data.classes)
    one, same, other = (egos.collate([egos.sample(i, generator(seed, i)) for i in range(8)]) for seed in (0, 0, 1))
    assert torch.equal(one.graphs.x, same.graphs.x)
    assert len(one.graphs.x) != len(other.graphs.x) or not torch.equal(one.graphs.x, other.graphs.x)
    roots = one.graphs.offsets[:-1]
    assert torch.equal((one.labels >= 0).nonzero().squeeze(1), roots)
    assert torch.equal(one.labels[roots], data.labels[data.val[:8]])
    assert torch.equal(one.graphs.x[roots], data.graph.x[data.val[:8]])
    first, again = (torch.cat([batch.graphs.x for batch in egos.batches(size)]) for size in (3, len(egos)))
    assert torch.equal(first, again)
    few = next(egos.batches(3)).graphs.x
    assert torch.equal(few, first[: len(few)])


def test_fine_tuned_on_nodes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    GMAE(GMAEConfig(width=64, dim=16, heads=2, depth=1, decoder_depth=1, neighbours=(3, 3), views=1)).save_pretrained(
        tmp_path / "model"
    )

    def command(*words: object) -> int:
        return run("mmgraph", ABOUT, COMMANDS, [str(word) for word in words])

    words = ("finetune", tmp_path / "model", "--recipe", "finetune_egos", "--data", "digits", "--out", tmp_path / "ft")
    assert command(*words, "--train.epochs", 15, "--optim.lr", 0.01) == 0
    (result,) = (tmp_path / "ft").glob("seed-0/result.json")
    assert json.loads(result.read_text())["accuracy"] > 0.6  # of ten classes
    assert command("embed", tmp_path / "ft" / "seed-0", "--out", tmp_path / "e.npz") == 0
    with np.load(tmp_path / "e.npz") as found:
        assert found["embeddings"].shape == (1797, 16)


def test_isolated_nodes_alone_have_no_loss() -> None:
    """A batch of nothing else must not end a training."""
    model = make().float()
    alone = Graphs(torch.rand(2, model.config.width), torch.empty(2, 0, dtype=torch.int64), torch.tensor([0, 1, 2]))
    output = model(alone, model.draw_mask(alone, generator(0)))
    output.loss.backward()
    assert float(output.loss) == 0
    assert not output.mask.hidden.any()
