"""Subgraphs by brute force, and embeddings in blocks against embeddings at once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.cli.app import run
from core.errors import UserError
from core.training.data import Plan, microbatches
from mmgraph.cli import ABOUT, COMMANDS
from mmgraph.config import GraphEncoderConfig, GraphMAEConfig, SamplingConfig
from mmgraph.data import neighbours as module
from mmgraph.data.neighbours import Members, Neighbours
from mmgraph.data.npy import npy, write_npy
from mmgraph.data.sampling import SampledGraph
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.graph import Graphs, join
from mmgraph.inference import embed_in_blocks
from mmgraph.models.graphmae import GraphMAE
from mmgraph.training_data import sampled


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_graph(nodes: int, edges: int, seed: int, attributes: bool = False) -> Graphs:
    """Directed edges with repetitions and self-loops; the last two nodes have none."""
    index = torch.randint(max(nodes - 2, 1), (2, edges), generator=source(seed))
    attr = torch.arange(edges)[:, None].repeat(1, 2) if attributes else None
    return Graphs(torch.randn(nodes, 5, generator=source(seed + 1)), index, None, attr)


def incoming(graph: Graphs) -> dict[int, list[tuple[int, int]]]:
    """(source, number of the edge) of all edges into a node, without self-loops."""
    found: dict[int, list[tuple[int, int]]] = {node: [] for node in range(len(graph.x))}
    for number, (a, b) in enumerate(graph.edge_index.t().tolist()):
        if a != b:
            found[b].append((a, number))
    return found


@given(st.integers(1, 12), st.integers(0, 60), st.integers(0, 5), st.booleans())
def test_rows_are_the_incoming_edges(nodes: int, edges: int, seed: int, small: bool) -> None:
    graph = random_graph(nodes, edges, seed, attributes=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", 1 if small else 2**20)
        made = Neighbours.of_graph(graph)
    assert made.edge is not None
    for node, expected in incoming(graph).items():
        part = slice(made.start[node], made.start[node + 1])
        assert [*zip(made.source[part].tolist(), made.edge[part].tolist(), strict=True)] == expected


@given(st.integers(0, 5), st.integers(-1, 6).filter(bool))
def test_draws_are_different_edges_and_no_more_than_asked_for(seed: int, fanout: int) -> None:
    graph = random_graph(14, 80, seed)
    made, wanted = Neighbours.of_graph(graph), torch.randperm(14, generator=source(seed))[:9].numpy()
    row, place = made.draw(wanted, fanout, source(seed))
    assert len(set(place.tolist())) == len(place)
    degrees = {node: len(edges) for node, edges in incoming(graph).items()}
    for position, node in enumerate(wanted.tolist()):
        mine = place[row == position]
        assert ((mine >= made.start[node]) & (mine < made.start[node + 1])).all()
        assert len(mine) == (degrees[node] if fanout < 0 else min(fanout, degrees[node]))


def test_every_set_of_neighbours_is_as_likely() -> None:
    star = Graphs(torch.ones(6, 1), torch.stack([torch.arange(1, 6), torch.zeros(5, dtype=torch.int64)]))
    _, place = Neighbours.of_graph(star).draw(np.zeros(20000, np.int64), 2, source(0))
    counts = Counter(tuple(sorted(pair)) for pair in place.reshape(-1, 2).tolist())
    assert len(counts) == 10
    assert max(abs(count - 2000) for count in counts.values()) < 5 * (20000 * 0.1 * 0.9) ** 0.5


@given(st.integers(0, 5), st.sampled_from([(1,), (2, 2), (-1, 3), (3, 1, 2)]))
def test_around_goes_layer_by_layer_along_edges(seed: int, fanouts: tuple[int, ...]) -> None:
    graph = random_graph(40, 120, seed)
    made, roots = Neighbours.of_graph(graph), np.array([3, 39, 7])
    nodes = made.around(roots, fanouts, source(seed)).tolist()
    assert nodes[:3] == roots.tolist()
    assert len(set(nodes)) == len(nodes)
    reach, known = set(roots.tolist()), set(roots.tolist())
    for _ in fanouts:
        reach = {a for node in reach for a, _ in incoming(graph)[node]} | reach
    assert set(nodes) <= reach
    limit = width = 3
    for fanout in fanouts:
        width *= 40 if fanout < 0 else fanout
        limit += width
    assert len(nodes) <= limit
    if min(fanouts) < 0 and len(fanouts) == 1:
        assert set(nodes) == reach
    assert known <= set(nodes)


@given(st.integers(0, 5), st.integers(1, 12))
def test_induced_edges_are_all_edges_among_the_nodes(seed: int, count: int) -> None:
    graph = random_graph(12, 60, seed, attributes=True)
    nodes = torch.randperm(12, generator=source(seed))[:count].numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", 3)
        patch.setattr(Neighbours.pieces, "__defaults__", (3,))
        patch.setattr(Members, "BITS", 2)
        made = Neighbours.of_graph(graph)
        edges, place = made.induced(nodes)
    chosen = set(nodes.tolist())
    pairs = graph.edge_index.t().tolist()
    expected = Counter((a, b, n) for n, (a, b) in enumerate(pairs) if a != b and {a, b} <= chosen)
    assert made.edge is not None
    assert Counter(zip(nodes[edges[0]].tolist(), nodes[edges[1]].tolist(), made.edge[place].tolist())) == expected  # noqa: B905


@pytest.mark.parametrize(("nodes", "roots"), [(30, 7), (30, 30), (31, 4), (5, 100)])
def test_an_epoch_has_every_node_as_a_root_once(nodes: int, roots: int) -> None:
    data = SampledGraph(random_graph(nodes, 60, 0), SamplingConfig(roots, (2,)), 0)
    assert len(data) == -(-nodes // roots)
    parts = [data.roots(index) for index in range(len(data))]
    assert sorted(np.concatenate(parts).tolist()) == list(range(nodes))
    sizes = [len(part) for part in parts]
    assert max(sizes) <= roots
    assert max(sizes) - min(sizes) <= 1
    other = SampledGraph(random_graph(nodes, 60, 0), SamplingConfig(roots, (2,)), 1)
    assert other.order.tolist() != data.order.tolist()


def test_a_sample_is_a_part_of_the_graph() -> None:
    graph = random_graph(50, 300, 2, attributes=True)
    before = graph.x.clone()
    data = SampledGraph(graph, SamplingConfig(10, (3, 2)), 0)
    sample = data.sample(1, source(5))
    assert sample.roots is not None
    assert sample.roots.tolist() == list(range(10))
    torch.testing.assert_close(sample.x[:10], graph.x[torch.from_numpy(data.roots(1))])
    row = {tuple(x.tolist()): node for node, x in enumerate(graph.x)}
    nodes = torch.tensor([row[tuple(x.tolist())] for x in sample.x])
    assert sample.edge_attr is not None
    for (a, b), (number, again) in zip(sample.edge_index.t().tolist(), sample.edge_attr.tolist(), strict=True):
        assert number == again
        assert graph.edge_index[:, number].tolist() == [int(nodes[a]), int(nodes[b])]
    again = data.sample(1, source(5))
    assert torch.equal(again.x, sample.x)
    assert torch.equal(again.edge_index, sample.edge_index)
    assert not torch.equal(data.sample(1, source(6)).x, sample.x)
    assert torch.equal(graph.x, before)
    assert not {"edges", "sparse_x"} & set(graph.__dict__)  # nothing of the size of the graph was made


@pytest.mark.parametrize("kind", ["gat", "gin"])
def test_with_all_neighbours_roots_are_embedded_as_in_the_whole_graph(kind: str) -> None:
    graph = random_graph(60, 150, 3)
    torch.manual_seed(0)
    model = GraphMAE(GraphMAEConfig(5, GraphEncoderConfig(kind, 8, 2, 2))).eval()  # type: ignore[arg-type]
    whole = model.encode(graph)
    data = SampledGraph(graph, SamplingConfig(6, (-1, -1)), 0)
    for index in range(len(data)):
        roots = torch.from_numpy(data.roots(index))
        sample = data.sample(index, source(0))
        torch.testing.assert_close(model.encode(sample)[sample.roots], whole[roots])


@pytest.mark.parametrize("entries", [1, 7, 10**6])
@pytest.mark.parametrize(
    "config",
    [
        GraphEncoderConfig("gat", 8, 3, 2, norm="layernorm", residual=True),
        GraphEncoderConfig("gat", 64, 1, 1),
        GraphEncoderConfig("gin", 8, 3, 1, norm="batchnorm"),
    ],
)
def test_blocks_give_the_embeddings_of_the_whole_graph(config: GraphEncoderConfig, entries: int) -> None:
    graph = random_graph(30, 90, 4)
    hub = torch.stack([torch.arange(30), torch.zeros(30, dtype=torch.int64)])
    graph = Graphs(graph.x, torch.cat([graph.edge_index, hub], 1))
    torch.manual_seed(0)
    model = GraphMAE(GraphMAEConfig(5, config)).eval()
    whole = model.encode(Graphs(graph.x, graph.edge_index))
    torch.testing.assert_close(embed_in_blocks(model, graph, entries), whole.detach(), rtol=1e-5, atol=1e-6)
    assert not {"edges", "sparse_x"} & set(graph.__dict__)


def test_other_models_are_not_embedded_in_blocks() -> None:
    with pytest.raises(UserError, match="Linear: cannot embed a graph in blocks"):
        embed_in_blocks(torch.nn.Linear(5, 5), random_graph(5, 9, 0))


def test_a_folder_of_arrays_stays_on_disk(tmp_path: Path) -> None:
    graph = random_graph(40, 100, 5, attributes=True)
    labels = torch.arange(40) % 3 - 1
    labelled = (labels >= 0).nonzero().squeeze(1)
    write_npy(NodeSet("mine", graph, labels, labelled[:8], labelled[8:16], labelled[16:]), tmp_path / "mine")
    data = npy(tmp_path / "mine")
    assert data.name == "mine"
    for name in ("x", "edge_index", "edge_attr"):
        assert torch.equal(getattr(data.graph, name), getattr(graph, name))
    assert torch.equal(data.labels, labels)
    assert data.val.tolist() == labelled[8:16].tolist()
    ours = SampledGraph(data.graph, SamplingConfig(8), 0).sample(0, source(0))
    theirs = SampledGraph(graph, SamplingConfig(8), 0).sample(0, source(0))
    assert torch.equal(ours.x, theirs.x)
    data.graph.x[0] = 7.0  # a private copy of a page
    assert torch.equal(npy(tmp_path / "mine").graph.x, graph.x)
    (tmp_path / "mine/val.npy").unlink()
    with pytest.raises(UserError, match=r"2 of train\.npy"):
        npy(tmp_path / "mine")
    for name in ("train", "test", "labels"):
        (tmp_path / f"mine/{name}.npy").unlink()
    assert not npy(tmp_path / "mine").labelled
    np.save(tmp_path / "mine/x.npy", np.zeros((40, 5)))
    with pytest.raises(UserError, match=r"x\.npy: float64 \(40, 5\); expected float32 or int64"):
        npy(tmp_path / "mine")
    (tmp_path / "mine/x.npy").unlink()
    with pytest.raises(UserError, match=r"no x\.npy"):
        npy(tmp_path / "mine")


def test_roots_of_a_batch(square: Graphs) -> None:
    rooted = Graphs(square.x, square.edge_index, square.offsets, None, torch.tensor([0, 4]))
    both = join([rooted, rooted])
    assert both.roots is not None
    assert both.roots.tolist() == [0, 4, 6, 10]
    assert join([square, square]).roots is None
    with pytest.raises(ValueError, match="roots"):
        join([rooted, square])


def test_samples_go_through_the_loader_and_its_processes() -> None:
    data = SampledGraph(random_graph(60, 300, 6), SamplingConfig(10, (3,)), 0)
    plan = Plan(len(data), 2, 0)
    found = [
        [micro.batch for micro in microbatches(data, plan, 0, plan.steps_per_epoch, 0, workers, False)]
        for workers in (0, 1)
    ]
    assert len(found[0]) == 3
    for one, two in zip(*found, strict=True):
        assert len(one) == 2
        assert len(one.roots) == 20
        assert torch.equal(one.x, two.x)
        assert torch.equal(one.edge_index, two.edge_index)


@pytest.mark.parametrize(
    ("values", "said"), [((3,), "roots 3"), ((-1,), "roots -1"), ((8, ()), "fanouts"), ((8, (5, 0)), "fanouts")]
)
def test_bad_settings(values: tuple, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SamplingConfig(*values)


def test_many_graphs_are_not_sampled(square: Graphs) -> None:
    data = GraphSet("many", (square,), np.zeros(1, np.int64))
    with pytest.raises(UserError, match="many is many graphs"):
        sampled(data, SamplingConfig(8), 0)
    assert sampled(data, SamplingConfig(), 0) is data


def test_the_command_line_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(
        "system: graphmae\ndata: digits\nmodel: {width: 64, encoder: {dim: 16, heads: 2}}\n"
        "sampling: {roots: 300, fanouts: [3, 3]}\n"
        "optim: {algorithm: adam, warmup_epochs: 0}\ntrain: {epochs: 2, batch_size: 1}\nprobe_nodes: {epochs: 20}\n"
    )
    for out in ("one", "two"):
        words = ["pretrain", str(recipe), "--out", str(tmp_path / out), "--run.log_steps", "1"]
        assert run("mmgraph", ABOUT, COMMANDS, words) == 0
    rows = [json.loads(line) for line in (tmp_path / "one/metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    again = [json.loads(line) for line in (tmp_path / "two/metrics.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows] == [row["loss"] for row in again]
    assert run("mmgraph", ABOUT, COMMANDS, ["probe", str(tmp_path / "one")]) == 0
    said = json.loads((tmp_path / "one/probe.json").read_text())
    assert all(0.1 < row["mean"] <= 1 for row in said["rows"])
    assert run("mmgraph", ABOUT, COMMANDS, ["pretrain", str(recipe), "--sampling.roots", "2"]) == 2
    assert "sampling.roots 2: expected 0" in capsys.readouterr().err
