"""The command line of mmgraph from end to end, on data and networks so small that a command takes a second."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tiny_mmgraph import NODES, RECIPE, TASK, Said, command, write_recipe

from core.files import read_metrics
from core.saving import load_tensors
from mmgraph.config import NodeProbeConfig
from mmgraph.data.sets import NodeSet
from mmgraph.data.sources import load
from mmgraph.embedding import embed_nodes
from mmgraph.graph import Graphs
from mmgraph.models import load_model
from mmgraph.models.classifier import GraphClassifier
from mmgraph.probes import probe_nodes


def done(said: Said) -> str:
    """What a command printed that went well and had nothing to complain of."""
    assert said.status == 0, said.err
    assert said.err == ""
    return said.out


def test_pretraining_leaves_a_run_that_explains_itself(pretrained: Path, nodes: str) -> None:
    assert {path.name for path in pretrained.iterdir()} == {
        "config.yaml", "environment.json", "metrics.jsonl", "model.json", "weights.safetensors", "state",
        "report.html", "embedding.png", "curves.png",
    }  # fmt: skip
    assert json.loads((pretrained / "environment.json").read_text())["data"]["nodes"] == NODES
    text = (pretrained / "config.yaml").read_text()
    assert text.startswith("# A test\n")
    assert yaml.safe_load(text)["data"] == nodes
    assert [row["step"] for row in read_metrics(pretrained / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
    page = (pretrained / "report.html").read_text()
    assert page.count("<img ") == 2  # embeddings and curves
    assert "coloured by class" in page


def test_resuming_a_finished_run_does_nothing_and_says_so(pretrained: Path, recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    before = {name: (run / name).read_bytes() for name in ("weights.safetensors", "metrics.jsonl", "report.html")}
    for words in ((recipe, "--out", run), (run,)):
        assert "this run is finished, all 6 steps were done already" in done(command("pretrain", *words, "--resume"))
        assert before == {name: (run / name).read_bytes() for name in before}


def interrupt_at(monkeypatch: pytest.MonkeyPatch, kind: type, call: int) -> None:
    """Press Ctrl-C while the batch of a step is made."""
    collate, calls = kind.collate, []  # type: ignore[attr-defined]

    def interrupting(self: object, samples: Sequence[object]) -> object:
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return collate(self, samples)

    monkeypatch.setattr(kind, "collate", interrupting)


def test_ctrl_c_saves_and_says_how_to_go_on(
    pretrained: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    interrupt_at(monkeypatch, NodeSet, 3)
    said = command("pretrain", recipe, "--out", run)
    assert said.status == 130
    assert f"Go on with: mmgraph pretrain {run} --resume" in said.err
    assert not (run / "report.html").exists()
    assert "6 steps" in done(command("pretrain", run, "--resume"))
    assert (run / "weights.safetensors").read_bytes() == (pretrained / "weights.safetensors").read_bytes()


def test_probe_shows_methods_side_by_side(pretrained: Path, tmp_path: Path) -> None:
    out = done(command("probe", pretrained, "--methods", "linear,svm,knn", "--out", tmp_path / "probe.json"))
    assert out.splitlines()[1].split() == ["embeddings", "linear", "svm", "knn"]
    said = json.loads((tmp_path / "probe.json").read_text())["rows"]
    assert {(row["embeddings"], row["probe"]) for row in said} == {
        (e, p) for e in ("pretrained", "untrained", "raw features") for p in ("linear", "svm", "knn")
    }
    found = {(row["embeddings"], row["probe"]): row["mean"] for row in said}
    assert found["raw features", "svm"] == found["raw features", "knn"] == 1  # the features tell the classes
    assert not (pretrained / "probe.json").exists()


def test_probe_with_settings_of_its_own(pretrained: Path, nodes: str, tmp_path: Path) -> None:
    words = ("--lr", "0.5", "--weight_decay", "0", "--epochs", "3", "--normalize", "true")
    done(command("probe", pretrained, "--controls", "false", *words, "--out", tmp_path / "probe.json"))
    (row,) = json.loads((tmp_path / "probe.json").read_text())["rows"]
    data = load(nodes)
    assert isinstance(data, NodeSet)
    embeddings = torch.nn.functional.normalize(embed_nodes(load_model(pretrained), data))
    expected = probe_nodes(embeddings, data, NodeProbeConfig(0.5, 0.0, 3), 0)
    assert row["mean"] == expected.accuracy


def test_probe_without_controls_writes_into_the_run(pretrained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    done(command("probe", run, "--controls", "false", "--methods", "[knn]"))
    (row,) = json.loads((run / "probe.json").read_text())["rows"]
    assert (row["embeddings"], row["probe"], row["seeds"]) == ("pretrained", "knn", 1)


def test_probe_of_graphs(pretrained_on_graphs: Path, tmp_path: Path) -> None:
    out = done(command("probe", pretrained_on_graphs, "--out", tmp_path / "probe.json"))
    assert out.splitlines()[1].split() == ["embeddings", "svm"]
    rows = json.loads((tmp_path / "probe.json").read_text())["rows"]
    assert [row["embeddings"] for row in rows] == ["pretrained", "untrained", "raw features"]


def test_graphs_that_a_model_was_fine_tuned_on_are_not_probed(pretrained_on_graphs: Path, tmp_path: Path) -> None:
    """Folds would score graphs by what it has learned of their classes."""
    words = ("--recipe", "finetune_graphs", "--train.epochs", 1, "--train.batch_size", 8, "--optim.warmup_epochs", 0)
    done(command("finetune", pretrained_on_graphs, *words, "--out", tmp_path / "ft"))
    said = command("probe", tmp_path / "ft")
    assert said.status == 2
    assert "the model was fine-tuned on graphs and may have trained on those of any fold" in said.err


def test_one_of_several_runs_is_to_be_named(recipe: Path, nodes: str, tmp_path: Path) -> None:
    done(command("pretrain", recipe, "--out", tmp_path / "run", "--seeds", 2, "--train.epochs", 1))
    said = command("embed", tmp_path / "run", "--data", nodes)
    assert said.status == 2
    assert "name one of its runs: seed-0, seed-1" in said.err


def test_every_seed_is_fine_tuned_from_its_own_pretraining(recipe: Path, task: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done(command("pretrain", recipe, "--out", run, "--seeds", 2))
    words = (run, "--recipe", task, "--out", tmp_path / "ft", "--seeds", 3)
    out = done(command("finetune", *words))
    assert "3 seed(s)" in out
    folders = [tmp_path / f"ft/seed-{seed}" for seed in range(3)]
    assert {p.name for p in folders[0].iterdir()} == {
        "config.yaml", "environment.json", "metrics.jsonl", "model.json", "weights.safetensors", "state",
        "result.json", "curves.png", "report.html",
    }  # fmt: skip
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    assert all(set(result) == {"accuracy", "mean_class_accuracy", "validation"} for result in results)
    said = [json.loads((folder / "environment.json").read_text()) for folder in folders]
    assert [s["pretrained"] for s in said] == [str(run / f"seed-{n}") for n in (0, 1, 0)]
    assert (said[0]["data"]["train"], said[0]["data"]["validation"], said[0]["data"]["test"]) == (12, 12, 96)
    assert done(command("finetune", *words, "--resume")) == out
    again = command("finetune", *words)
    assert again.status == 2
    assert "holds a run already" in again.err


def test_finetuning_learns_what_is_trivial_and_loads_again(
    pretrained: Path, task: Path, nodes: str, tmp_path: Path
) -> None:
    out = tmp_path / "ft"
    done(command("finetune", pretrained, "--recipe", task, "--train.epochs", 60, "--out", out))
    result = json.loads((out / "seed-0/result.json").read_text())
    assert result["accuracy"] > 0.9
    rows = read_metrics(out / "seed-0/metrics.jsonl")
    scores = [row["validation_accuracy"] for row in rows if "validation_accuracy" in row]
    assert len(scores) == 60
    assert result["validation"] == max(scores)
    model = load_model(out / "seed-0")
    assert isinstance(model, GraphClassifier)
    assert model.config.system == "GraphMAE"
    data = load(nodes)
    assert isinstance(data, NodeSet)
    right = (model(data.graph).argmax(-1) == data.labels)[data.test].double().mean()
    assert float(right) == result["accuracy"]  # the saved weights are those of the best epoch
    assert f"{NODES} x 12" in done(command("embed", out / "seed-0", "--data", nodes, "--out", tmp_path / "x.npz"))


def test_an_interrupted_finetuning_goes_on_to_the_same_weights(
    pretrained: Path, task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmgraph.data.parts import LabelledNodes

    words = ("finetune", pretrained, "--recipe", task, "--out")
    done(command(*words, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        interrupt_at(patch, LabelledNodes, 3)
        said = command(*words, tmp_path / "stopped")
    assert said.status == 130
    assert "--resume" in said.err
    done(command(*words, tmp_path / "stopped", "--resume"))
    for name in ("weights.safetensors", "result.json"):
        assert (tmp_path / "whole/seed-0" / name).read_bytes() == (tmp_path / "stopped/seed-0" / name).read_bytes()


def test_finetuning_from_scratch_takes_sizes_and_not_weights(pretrained: Path, task: Path, tmp_path: Path) -> None:
    still = ("--optim.lr", 0, "--optim.warmup_lr", 0, "--optim.min_lr", 0)
    for name, words in (("with", ()), ("without", ("--scratch",))):
        done(command("finetune", pretrained, "--recipe", task, "--out", tmp_path / name, *words, *still))
    old = load_tensors(pretrained / "weights.safetensors")
    new = {name: load_tensors(tmp_path / name / "seed-0/weights.safetensors") for name in ("with", "without")}
    name = "encoder.encoder.layers.0.linear.weight"
    assert torch.equal(new["with"][f"encoder.{name}"], old[name])
    assert not torch.equal(new["without"][f"encoder.{name}"], old[name])
    assert {n: t.shape for n, t in new["with"].items()} == {n: t.shape for n, t in new["without"].items()}
    assert not any("objectives" in n for n in new["with"])
    assert json.loads((tmp_path / "without/seed-0/environment.json").read_text())["pretrained"] is None


@pytest.mark.parametrize("pool", ["mean", "max", "sum"])
def test_finetuning_on_graphs(pretrained_on_graphs: Path, tmp_path: Path, pool: str) -> None:
    task = write_recipe(tmp_path / "task.yaml", TASK, task="graphs", pool=pool, train={"batch_size": 8, "epochs": 12})
    done(command("finetune", pretrained_on_graphs, "--recipe", task, "--out", tmp_path / "ft"))
    said = json.loads((tmp_path / "ft/seed-0/environment.json").read_text())["data"]
    assert (said["train"], said["validation"], said["test"]) == (32, 4, 4)
    rows = read_metrics(tmp_path / "ft/seed-0/metrics.jsonl")
    assert np.mean([row["train_accuracy"] for row in rows if "train_accuracy" in row][-4:]) > 0.7
    assert load_model(tmp_path / "ft/seed-0").config.pool == pool


def test_a_classifier_trains_only_what_embeddings_depend_on(pretrained: Path, nodes: str) -> None:
    from mmgraph.config import GraphFinetuneRecipe
    from mmgraph.data.parts import labelled_parts
    from mmgraph.finetune import new_classifier

    train, *_ = labelled_parts(load(nodes), "nodes", 0, nodes)
    model = new_classifier(pretrained, GraphFinetuneRecipe(), train, nodes, scratch=False)
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == {"encoder.encoder.token"}
    assert model.training
    graph = train.data.graph
    torch.testing.assert_close(model.eval().encode(graph), load_model(pretrained).encode(graph))
    model.train()
    model(graph).sum().backward()
    assert model.encoder.encoder.encoder.layers[0].linear.weight.grad is not None


def test_embeddings_of_nodes_and_graphs(
    pretrained: Path, pretrained_on_graphs: Path, nodes: str, tmp_path: Path
) -> None:
    assert f"{NODES} x 12" in done(command("embed", pretrained, "--out", tmp_path / "nodes.npz"))
    with np.load(tmp_path / "nodes.npz", allow_pickle=False) as arrays:
        data = load(nodes)
        assert isinstance(data, NodeSet)
        np.testing.assert_array_equal(arrays["labels"], data.labels)
        np.testing.assert_array_equal(arrays["embeddings"], embed_nodes(load_model(pretrained), data))
    assert "40 x 8" in done(command("embed", pretrained_on_graphs, "--out", tmp_path / "graphs.npz"))
    with np.load(tmp_path / "graphs.npz", allow_pickle=False) as arrays:
        assert arrays["labels"].tolist() == [0, 1] * 20


def to_official(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict of the official GraphMAE with one layer of attention."""
    ours = {
        "enc_mask_token": "encoder.token",
        "encoder_to_decoder.weight": "objectives.sce.head.bridge.weight",
        "encoder.gat_layers.0.activation.weight": "encoder.encoder.activations.0.weight",
    }
    for theirs, layer in (
        ("encoder.gat_layers.0", "encoder.encoder.layers.0"),
        ("decoder.layers.0", "objectives.sce.head.layer"),
    ):
        for name, own in (("lin_src.weight", "linear.weight"), ("bias", "bias")):
            ours[f"{theirs}.{name}"] = f"{layer}.{own}"
    official = {theirs: weights[own] for theirs, own in ours.items()}
    for theirs, layer in (
        ("encoder.gat_layers.0", "encoder.encoder.layers.0"),
        ("decoder.layers.0", "objectives.sce.head.layer"),
    ):
        for name, own in (("att_src", "att_source"), ("att_dst", "att_target")):
            official[f"{theirs}.{name}"] = weights[f"{layer}.{own}"][None]
    return official


@pytest.mark.parametrize("wrapped", [False, True])
def test_official_weights(pretrained: Path, recipe: Path, tmp_path: Path, wrapped: bool) -> None:
    ours = load_tensors(pretrained / "weights.safetensors")
    state = to_official(ours)
    content = {"state_dict": {f"module.{name}": t for name, t in state.items()}, "epoch": 3} if wrapped else state
    torch.save(content, tmp_path / "official.pth")
    out = done(command("convert", tmp_path / "official.pth", recipe, "--out", tmp_path / "ours"))
    assert "GraphMAE" in out
    converted = load_tensors(tmp_path / "ours/weights.safetensors")
    assert converted.keys() == ours.keys()
    assert all(torch.equal(converted[name], ours[name]) for name in ours)
    words = ("--data", yaml.safe_load(recipe.read_text())["data"], "--out", tmp_path / "x.npz")
    done(command("embed", tmp_path / "ours", *words))


def test_a_state_dict_of_the_official_code(shared: Path, tmp_path: Path) -> None:
    with np.load(shared / "golden/graphmae_gin.npz") as file:
        golden = {name: torch.from_numpy(file[name]) for name in file.files}
    state = {name.removeprefix("weight/"): t for name, t in golden.items() if name.startswith("weight/")}
    torch.save(state, tmp_path / "checkpoint.pt")
    sizes = {"kind": "gin", "dim": 24, "depth": 2, "heads": 1, "norm": "batchnorm"}
    recipe = write_recipe(tmp_path / "r.yaml", {"system": "graphmae", "model": {"width": 5, "encoder": sizes}})
    done(command("convert", tmp_path / "checkpoint.pt", recipe, "--out", tmp_path / "ours"))
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), golden["in/batch"].bincount().cumsum(0)])
    made = load_model(tmp_path / "ours").encode(Graphs(golden["in/x"], golden["in/edge_index"], offsets))
    torch.testing.assert_close(made, golden["embed/clean"], rtol=1e-5, atol=1e-5)


def test_state_dicts_of_other_official_codes(shared: Path, tmp_path: Path) -> None:
    """MaskGAE, and the GNN alone of pretrain-gnns, whose heads then are fresh."""
    sizes = {"width": 24, "dim": 32, "out": 16, "depth": 2, "decoder_dim": 12}
    chem = {"dim": 32, "depth": 5, "node_vocabulary": [119, 3], "edge_vocabulary": [4, 3]}
    for name, recipe, key, ours in (
        ("maskgae", {"system": "maskgae", "model": sizes}, "encoder.bns.1.bias", "encoder.norms.1.bias"),
        ("pretrain_gnns_gin", {"system": "attr_masking", "model": chem}, "gnns.3.mlp.0.bias",
         "encoder.stack.layers.3.inner.bias"),
    ):  # fmt: skip
        with np.load(shared / f"golden/{name}.npz") as file:
            state = {
                n.removeprefix("weight/"): torch.from_numpy(file[n]) for n in file.files if n.startswith("weight/")
            }
        torch.save(state, tmp_path / f"{name}.pt")
        made = write_recipe(tmp_path / f"{name}.yaml", recipe)
        done(command("convert", tmp_path / f"{name}.pt", made, "--out", tmp_path / name))
        assert torch.equal(load_tensors(tmp_path / name / "weights.safetensors")[ours], state[key])


def test_data_from_python(tmp_path: Path) -> None:
    """Pretraining and fine-tuning on what the user holds in memory."""
    from core.cli.recipes import build_recipe, read_recipe
    from mmgraph.config import GraphFinetuneRecipe, GraphMAERecipe
    from mmgraph.data.pyg import from_pyg
    from mmgraph.finetune import finetune
    from mmgraph.pretrain import pretrain

    data = pytest.importorskip("torch_geometric.data").Data(
        x=torch.rand(30, 8),
        edge_index=torch.stack([torch.arange(30), torch.arange(30).roll(1)]),
        y=torch.arange(30) % 3,
    )
    mine = from_pyg(data, "mine", train=0.4, val=0.2)
    made = build_recipe(read_recipe(write_recipe(tmp_path / "r.yaml", RECIPE, data="mine")), GraphMAERecipe)
    pretrain(made, tmp_path / "run", data=mine)
    assert json.loads((tmp_path / "run/environment.json").read_text())["data"]["nodes"] == 30
    task = build_recipe(read_recipe(write_recipe(tmp_path / "t.yaml", TASK)), GraphFinetuneRecipe)
    scores = finetune(task, tmp_path / "run", tmp_path / "ft", data=mine)
    assert 0 <= scores["accuracy"] <= 1
    said = command("probe", tmp_path / "run")
    assert "data 'mine': no such layout" in said.err


def test_data_that_changed_is_not_resumed(recipe: Path, tmp_path: Path) -> None:
    from tiny_mmgraph import write_nodes

    path, run = tmp_path / "data.npz", tmp_path / "run"
    done(command("pretrain", recipe, "--data", write_nodes(path), "--out", run))
    write_nodes(path, edge=np.array([[0, 1], [1, 2]]))
    said = command("pretrain", run, "--resume")
    assert said.status == 2
    assert "the data has changed since this run began" in said.err


def test_unlabelled_nodes_are_shown_by_none(tmp_path: Path, pretrained: Path, nodes: str) -> None:
    from mmgraph.config import GraphProbeConfig
    from mmgraph.data.sets import GraphSet
    from mmgraph.report import plot_classes

    graph = Graphs(torch.rand(4, 8), torch.tensor([[0, 1], [1, 0]]))
    data = GraphSet("none", (graph,) * 3, np.full(3, -1))
    assert plot_classes(load_model(pretrained), data, GraphProbeConfig(), tmp_path / "x.png") is None
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    "words",
    ["", "--help", "list", "check", "pretrain --help", "pretrain demo --help", "finetune -h", "probe -h", "embed -h",
     "convert -h", "demo -h"],
)  # fmt: skip
def test_help(words: str) -> None:
    assert done(command(*words.split()))


def test_help_takes_less_than_a_second() -> None:
    program = (
        "import sys, time; from core.cli.app import run; from mmgraph.cli import ABOUT, COMMANDS; "
        "run('mmgraph', ABOUT, COMMANDS, ['--help']); "
        "sys.exit('torch' in sys.modules or 'sklearn' in sys.modules or time.process_time() > 1)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "finetune RUN" in said.stdout
