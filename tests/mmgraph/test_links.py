from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from core.cli.app import run
from core.cli.recipes import build_recipe, find_recipe
from core.errors import UserError
from core.files import read_metrics
from core.random import generator
from mmgraph.cli import ABOUT, COMMANDS
from mmgraph.config import LinksConfig, MaskGAERecipe, MGAERecipe
from mmgraph.data.digits import digits
from mmgraph.data.links import ScoredPairs, edges_digest, split_links
from mmgraph.data.npy import write_npy
from mmgraph.data.sets import NodeSet
from mmgraph.graph import Graphs
from mmgraph.links import score_links
from mmgraph.models import load_model
from mmgraph.non_edges import draw_distinct_non_edges, draw_non_edges


def keys(pairs: torch.Tensor, nodes: int) -> set[int]:
    return set((pairs.amin(0) * nodes + pairs.amax(0)).tolist())


def test_parts_are_disjoint_and_whole() -> None:
    data = digits()
    split = split_links(data, LinksConfig(0.05, 0.1), 0)
    nodes = len(data.graph.x)
    every = keys(data.graph.edge_index, nodes)
    train, val, test = (keys(p, nodes) for p in (split.train.edge_index, split.val.edges, split.test.edges))
    assert len(val) == int(0.05 * len(every)) == split.val.others.shape[1]
    assert len(test) == int(0.1 * len(every)) == split.test.others.shape[1]
    assert train | val | test == every
    assert len(train) + len(val) + len(test) == len(every)
    assert keys(split.val.graph.edge_index, nodes) == train
    assert keys(split.test.graph.edge_index, nodes) == train | val
    assert not (keys(split.val.others, nodes) | keys(split.test.others, nodes)) & every


def test_what_the_test_sees() -> None:
    data = digits()
    more, less = (split_links(data, LinksConfig(test_sees=sees), 0) for sees in ("train and val", "train"))  # type: ignore[arg-type]
    assert torch.equal(less.test.graph.edge_index, less.train.edge_index)
    assert more.test.graph.edge_index.shape[1] > less.test.graph.edge_index.shape[1]
    assert torch.equal(more.test.edges, less.test.edges)
    assert build_recipe(find_recipe("mmgraph", "mgae_cora"), MGAERecipe).links.test_sees == "train"
    assert build_recipe(find_recipe("mmgraph", "maskgae_cora"), MaskGAERecipe).links.test_sees == "train and val"


def test_seeds_split_differently_and_again() -> None:
    data = digits()
    first, again, other = (split_links(data, LinksConfig(), seed).test.edges for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_all_edges_may_be_trained_on() -> None:
    data = digits()
    assert split_links(data, LinksConfig(train_on_all=True), 0).train is data.graph


def test_too_few_edges() -> None:
    graph = Graphs(torch.rand(6, 2), torch.tensor([[0, 1, 2], [1, 2, 3]]))
    data = NodeSet("tiny", graph, torch.tensor([0, 1, 0, 1, 0, 1]), *torch.arange(6).split(2))
    with pytest.raises(UserError, match="tiny: 3 edges give 0 to validate"):
        split_links(data, LinksConfig(), 0)


def random_graph(nodes: int, chance: float, seed: int = 0) -> NodeSet:
    """Edges from the lower node to the higher, each with the same chance."""
    source = torch.Generator().manual_seed(seed)
    edges = (torch.rand(nodes, nodes, generator=source) < chance).triu(1).nonzero().t().contiguous()
    none = torch.empty(0, dtype=torch.int64)
    graph = Graphs(torch.rand(nodes, 4, generator=source), edges)
    return NodeSet("random", graph, torch.full((nodes,), -1), none, none, none)


PARTS = dict(zip(("train", "val", "test"), torch.arange(60).split(20), strict=True))


def test_pairs_have_the_direction_of_their_edges() -> None:
    """However the nodes of a directed graph are numbered; an edge that goes both ways is given upwards."""
    data = random_graph(60, 0.1)
    down = dataclasses.replace(data, graph=Graphs(data.graph.x, data.graph.edge_index.flip(0)))
    both = torch.cat([data.graph.edge_index, data.graph.edge_index.flip(0)], 1)
    ways = dataclasses.replace(data, graph=Graphs(data.graph.x, both))
    for given, upwards in ((data, True), (down, False), (ways, True)):
        split = split_links(given, LinksConfig(), 0)
        for part in (split.val, split.test):
            assert bool(((part.edges[0] < part.edges[1]) == upwards).all())
            assert keys(part.edges, 60) <= keys(given.graph.edge_index, 60)


def test_no_pair_is_scored_twice() -> None:
    """Also where there are hardly more pairs that are no edges than are wanted: of 435 pairs 55 of 72."""
    data = random_graph(30, 0.85)
    split = split_links(data, LinksConfig(), 0)
    val, test = (keys(part.others, 30) for part in (split.val, split.test))
    assert len(val) == split.val.others.shape[1]
    assert len(test) == split.test.others.shape[1]
    assert not val & test
    assert not (val | test) & keys(data.graph.edge_index, 30)


def test_distinct_pairs_are_those_that_are_drawn() -> None:
    """In the order of the draw: the first of them validate, the others test."""
    graph = random_graph(60, 0.1).graph
    drawn, distinct = (draw(graph, 150, generator(0)) for draw in (draw_non_edges, draw_distinct_non_edges))
    seen: list[tuple[int, ...]] = []
    for pair in drawn.t().tolist():
        if tuple(sorted(pair)) not in (tuple(sorted(other)) for other in seen):
            seen.append(tuple(pair))
    assert len(seen) < 150  # some were drawn twice
    assert distinct.t()[: len(seen)].tolist() == [list(pair) for pair in seen]


def test_two_edges_are_left_to_train_on() -> None:
    edges = torch.stack([torch.arange(5), torch.arange(1, 6)])
    none = torch.empty(0, dtype=torch.int64)
    data = NodeSet("path", Graphs(torch.rand(6, 2), edges), torch.full((6,), -1), none, none, none)
    with pytest.raises(
        UserError, match="path: 5 edges give 2 to validate and 2 to test; expected some of each, and two"
    ):
        split_links(data, LinksConfig(0.4, 0.4), 0)


class ByKey(torch.nn.Module):
    """Scores a pair by its first node, so that what is right is known."""

    def __init__(self) -> None:
        super().__init__()
        self.sign = torch.nn.Parameter(torch.ones(()))

    def score_edges(self, graphs: Graphs, pairs: torch.Tensor) -> torch.Tensor:
        return self.sign * pairs[0]


def test_scores_are_known_areas() -> None:
    graph = Graphs(torch.zeros(5, 1), torch.zeros(2, 0, dtype=torch.int64))
    pairs = ScoredPairs(graph, torch.tensor([[4, 1], [0, 0]]), torch.tensor([[3, 0], [1, 1]]))
    score = score_links(ByKey(), pairs)
    assert score.auc == pytest.approx(3 / 4)
    assert score.ap == pytest.approx((1 + 2 / 3) / 2)


def test_models_without_a_decoder_of_edges() -> None:
    graph = Graphs(torch.zeros(5, 1), torch.zeros(2, 0, dtype=torch.int64))
    pairs = ScoredPairs(graph, torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, 1, dtype=torch.int64))
    with pytest.raises(UserError, match="a Linear scores no edges"):
        score_links(torch.nn.Linear(1, 1), pairs)


TINY = """# Someone, a small one
# parameters: 1
system: {system}
data: digits
model: {{width: 64, dim: 8, dropout: 0.0, decoder_dim: 8}}
links: {{val: 0.05, test: 0.1, every: 2}}
train: {{epochs: 5, batch_size: 1}}
probe_nodes: {{epochs: 20}}
run: {{accelerator: cpu, threads: 1, log_steps: 1}}
"""


@pytest.mark.parametrize("system", ["maskgae", "mgae"])
def test_the_command_line(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pretraining keeps the best weights of validation, and the probe scores the edges each seed has set aside."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY.format(system=system))

    def command(*words: str) -> None:
        assert run("mmgraph", ABOUT, COMMANDS, words) == 0, capsys.readouterr().err

    command("pretrain", "tiny.yaml", "--out", "run", "--seeds", "2")
    logged = {
        row["step"]: row["validation_auc"]
        for row in read_metrics(Path("run/seed-1/metrics.jsonl"))
        if "validation_auc" in row
    }
    assert list(logged) == [2, 4, 5]
    kept = json.loads(Path("run/seed-1/state/best.json").read_text())
    assert kept["score"] == max(logged.values())
    model = load_model("run/seed-1")
    links = LinksConfig(every=2, test_sees="train" if system == "mgae" else "train and val")
    assert score_links(model, split_links(digits(), links, 1).val).auc == kept["score"]
    capsys.readouterr()
    command("probe", "run")
    said = json.loads(Path("run/probe.json").read_text())
    assert [row["model"] for row in said["links"]] == ["pretrained", "untrained"]
    tests = [score_links(load_model(f"run/seed-{s}"), split_links(digits(), links, s).test).auc for s in (0, 1)]
    assert said["links"][0]["auc"] == pytest.approx(sum(tests) / 2)
    assert "AUC" in capsys.readouterr().out
    command("pretrain", "tiny.yaml", "--out", "all", "--links.train_on_all", "true")
    command("probe", "all", "--controls", "false")
    assert "links" not in json.loads(Path("all/probe.json").read_text())


def test_links_need_no_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = digits()
    none = torch.empty(0, dtype=torch.int64)
    write_npy(NodeSet("bare", data.graph, torch.full_like(data.labels, -1), none, none, none), tmp_path / "bare")
    for part in ("train", "val", "test"):
        (tmp_path / f"bare/{part}.npy").unlink()
    (tmp_path / "tiny.yaml").write_text(TINY.format(system="maskgae"))
    source = f"npy:{tmp_path / 'bare'}"
    words = ["pretrain", str(tmp_path / "tiny.yaml"), "--data", source, "--out", str(tmp_path / "run")]
    assert run("mmgraph", ABOUT, COMMANDS, words) == 0, capsys.readouterr().err
    assert run("mmgraph", ABOUT, COMMANDS, ["probe", str(tmp_path / "run")]) == 0, capsys.readouterr().err
    said = json.loads((tmp_path / "run/probe.json").read_text())
    assert said["rows"] == []
    assert [row["model"] for row in said["links"]] == ["pretrained", "untrained"]


def test_edges_that_changed_since_are_not_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another draw of the parts would score edges that were trained on."""

    def command(*words: str) -> str:
        assert run("mmgraph", ABOUT, COMMANDS, words) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    def write(name: str, seed: int) -> str:
        data = random_graph(60, 0.1, seed)
        write_npy(dataclasses.replace(data, labels=torch.arange(60) % 2, **PARTS), tmp_path / name)
        return f"npy:{tmp_path / name}"

    (tmp_path / "tiny.yaml").write_text(TINY.format(system="mgae").replace("width: 64", "width: 4"))
    source, out = write("mine", 0), str(tmp_path / "run")
    command("pretrain", str(tmp_path / "tiny.yaml"), "--data", source, "--out", out, "--seeds", "2")
    bare = ("--controls", "false")
    assert "AUC" in command("probe", out, "--data", f"npy:{tmp_path}/./mine", *bare)  # another word for the same edges
    assert "AUC" not in command("probe", out, "--data", write("other", 1), *bare)
    said = tmp_path / "run/seed-1/environment.json"
    written = json.loads(said.read_text())
    said.write_text(json.dumps({**written, "data": {}}))
    with pytest.warns(UserWarning, match="run/seed-1: does not say which edges it began with"):
        shown = command("probe", out, *bare)
    assert "linear" in shown
    assert "AUC" not in shown
    said.write_text(json.dumps(written))
    shutil.rmtree(tmp_path / "mine")
    write("mine", 1)
    assert run("mmgraph", ABOUT, COMMANDS, ["probe", out]) == 2
    assert f"seed-0: set edges of {source} aside that are not the edges there now" in capsys.readouterr().err
    first = tmp_path / "run/seed-0/environment.json"
    now = {**written, "data": {**written["data"], "edges_sha256": edges_digest(random_graph(60, 0.1, 1).graph)}}
    first.write_text(json.dumps(now))
    assert run("mmgraph", ABOUT, COMMANDS, ["probe", out]) == 2
    assert f"seed-1: set edges of {source} aside" in capsys.readouterr().err


@pytest.mark.parametrize("system", ["maskgae", "mgae"])
def test_training_that_diverges_is_not_called_a_fault_of_scoring(
    system: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY.format(system=system))
    words = ["pretrain", str(tmp_path / "tiny.yaml"), "--optim.lr", "1e30", "--links.every", "1"]
    assert run("mmgraph", ABOUT, COMMANDS, [*words, "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.startswith("error: training diverged")
