"""Input that cannot be used: one line that names it, exit status 2, and nothing half-made left behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_mmgraph import NODES, ON_GRAPHS, TASK, WIDTH, command, write_graphs, write_nodes, write_recipe

from core.saving import load_tensors


def refused(*words: object, names: object = "") -> str:
    """The error of a command that has to fail as the user is promised."""
    said = command(*words)
    assert said.status == 2, said
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    assert str(names) in said.err
    return said.err


def refused_run(out: Path, *words: object, names: object = "") -> str:
    """As :func:`refused`, of a command that would make the folder ``out``."""
    error = refused(*words, "--out", out, names=names)
    assert not out.exists()
    return error


# Data


def features(value: float) -> np.ndarray:
    x = np.ones((NODES, WIDTH), np.float32)
    x[7, 1] = value
    return x


def edge(source: int, target: int) -> np.ndarray:
    return np.array([[0, 1, source], [1, 2, target]])


BAD_GRAPHS = {
    "an empty graph": ({"x": np.empty((0, WIDTH), np.float32), "edge": np.empty((2, 0), int), "y": np.empty(0, int)},
                       f"0 nodes with {WIDTH} features"),
    "no features": ({"x": np.empty((NODES, 0), np.float32)}, f"{NODES} nodes with 0 features"),
    "no edges": ({"edge": np.empty((2, 0), int)}, "no edge between two nodes"),
    "self-loops only": ({"edge": np.array([[1], [1]])}, "no edge between two nodes"),
    "an edge too far": ({"edge": edge(0, NODES)}, f"edges name nodes 0 to {NODES}; there are 0 to {NODES - 1}"),
    "a negative edge": ({"edge": edge(-1, 3)}, "edges name nodes -1 to 3"),
    "edges of three": ({"edge": np.ones((3, 4), int)}, "(2, E)"),
    "edges that are fractions": ({"edge": edge(0, 3) + 0.5}, "integers"),
    "NaN features": ({"x": features(np.nan)}, f"NaN or infinite features at 1 of {NODES} nodes"),
    "infinite features": ({"x": features(np.inf)}, f"NaN or infinite features at 1 of {NODES} nodes"),
    "labels of another length": ({"y": np.arange(NODES - 3) % 2}, f"{NODES - 3} labels for {NODES} nodes"),
    "labels that are fractions": ({"y": np.linspace(0, 1, NODES)}, "integers"),
    "one class": ({"y": np.zeros(NODES, int)}, "all nodes have one class"),
    "a stray class": ({"y": np.where(np.arange(NODES) == 5, 10**12, np.arange(NODES) % 2)},
                      f"node 5 has class 1000000000000; expected classes from 0 on, and no more of them than the {NODES} nodes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_GRAPHS)
def test_bad_graphs(case: str, pretrained: Path, recipe: Path, tmp_path: Path) -> None:
    arrays, said = BAD_GRAPHS[case]
    data = write_nodes(tmp_path / "bad.npz", **arrays)
    assert said in refused_run(tmp_path / "run", "pretrain", recipe, "--data", data, names="bad")
    assert said in refused("probe", pretrained, "--data", data, "--out", tmp_path / "probe.json", names="bad")
    assert said in refused_run(tmp_path / "x.npz", "embed", pretrained, "--data", data, names="bad")
    assert not (tmp_path / "probe.json").exists()


def test_a_graph_without_labels_is_trained_on_and_not_scored(recipe: Path, tmp_path: Path) -> None:
    data = write_nodes(tmp_path / "bare.npz", y=np.full(NODES, -1))
    assert command("pretrain", recipe, "--data", data, "--out", tmp_path / "run").status == 0
    assert command("embed", tmp_path / "run", "--out", tmp_path / "x.npz").status == 0
    assert "its nodes have no labels" in refused("probe", tmp_path / "run", names="bare")
    refused_run(tmp_path / "ft", "finetune", tmp_path / "run", "--recipe", "finetune_nodes", names="bare")


def test_training_nodes_of_one_class(pretrained: Path, task: Path, recipe: Path, tmp_path: Path) -> None:
    """The other parts have two: nothing can be learned, by a probe or by fine-tuning, in the same words."""
    folder = tmp_path / "ONE"
    folder.mkdir()
    arrays = {
        "x": np.ones((NODES, WIDTH), np.float32),
        "edge_index": np.stack([np.arange(NODES - 1), np.arange(1, NODES)]),
    }
    arrays |= {
        "labels": np.arange(NODES) % 2,
        "train": np.arange(0, 40, 2),
        "val": np.arange(40, 60),
        "test": np.arange(60, 80),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    said = "ONE: all training nodes have one class; classification needs at least two"
    refused("probe", pretrained, "--data", f"npy:{folder}", names=said)
    refused_run(tmp_path / "ft", "finetune", pretrained, "--recipe", task, "--data", f"npy:{folder}", names=said)


def apart(*words: object) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own: what is said there is said to the user, pytest takes warnings away."""
    code = f"import sys; from mmgraph.cli import main; sys.argv[1:] = {[str(word) for word in words]!r}; main()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_warnings_of_numpy_do_not_go_before_the_error(recipe: Path, tmp_path: Path) -> None:
    source = write_graphs(tmp_path / "RINGS")
    (tmp_path / "RINGS/RINGS_graph_labels.txt").write_text("")
    file = tmp_path / "RINGS/RINGS_graph_labels.txt"
    said = apart("pretrain", recipe, "--data", source, "--out", tmp_path / "run")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == f"error: {file}: empty; expected whole numbers with commas between them\n"


def test_numbers_to_predict_are_one_line_of_warning(tmp_path: Path) -> None:
    """Pretraining needs no labels; what is probed does."""
    source = write_graphs(tmp_path / "RINGS", 16)
    made = write_recipe(tmp_path / "r.yaml", ON_GRAPHS, data=source, train={"epochs": 1})
    numbers = tmp_path / "RINGS/RINGS_graph_attributes.txt"
    (tmp_path / "RINGS/RINGS_graph_labels.txt").rename(numbers)
    said = apart("pretrain", made, "--out", tmp_path / "run")
    assert said.returncode == 0, said.stderr
    assert said.stderr == f"warning: {numbers}: graphs have numbers, no classes; they are taken without labels\n"
    with pytest.warns(UserWarning, match="no classes"):
        refused("probe", tmp_path / "run", names="not all of its graphs have labels")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"no array"])
def test_files_that_are_damaged(content: bytes, recipe: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    refused_run(tmp_path / "run", "pretrain", recipe, "--data", f"arrays:{path}", names=path)


def test_truncated_data(recipe: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    data = write_nodes(path)
    path.write_bytes(path.read_bytes()[:-200])
    refused_run(tmp_path / "run", "pretrain", recipe, "--data", data, names=path)


@pytest.mark.parametrize(
    ("data", "said"),
    [("cora", "no such layout"), ("planetoyd:x", "did you mean 'planetoid'"), ("planetoid", "where is it"),
     ("arrays:nowhere.npz", "nowhere.npz"), ("tu:nowhere/MUTAG", "no MUTAG_A.txt")],
)  # fmt: skip
def test_data_that_is_not_there(data: str, said: str, recipe: Path, pretrained: Path, tmp_path: Path) -> None:
    refused_run(tmp_path / "run", "pretrain", recipe, "--data", data, names=said)
    refused_run(tmp_path / "x.npz", "embed", pretrained, "--data", data, names=said)
    refused_run(tmp_path / "ft", "finetune", pretrained, "--data", data, names=said)
    refused("probe", pretrained, "--data", data, names=said)


def test_features_of_another_width(pretrained: Path, recipe: Path, task: Path, tmp_path: Path) -> None:
    data = write_nodes(tmp_path / "wide.npz", x=np.ones((NODES, 5), np.float32))
    said = f"5 features a node; the model takes {WIDTH}"
    refused_run(tmp_path / "run", "pretrain", recipe, "--data", data, names=said)
    refused_run(tmp_path / "ft", "finetune", pretrained, "--recipe", task, "--data", data, names=said)
    refused_run(tmp_path / "x.npz", "embed", pretrained, "--data", data, names=said)
    refused("probe", pretrained, "--data", data, names=said)


def test_classes_of_graphs_that_cannot_be_learned(pretrained_on_graphs: Path, tmp_path: Path) -> None:
    task = write_recipe(tmp_path / "task.yaml", TASK, task="graphs", train={"batch_size": 8})
    one = write_graphs(tmp_path / "ONE", 20, classes=1)
    few = write_graphs(tmp_path / "FEW", 4)
    words = ("finetune", pretrained_on_graphs, "--recipe", task, "--data")
    refused_run(tmp_path / "ft", *words, one, names="all graphs have one class")
    refused_run(tmp_path / "ft", *words, few, names="no graphs for the validation part")
    refused("probe", pretrained_on_graphs, "--data", one, names="expected two classes of at least 10")
    refused("probe", pretrained_on_graphs, "--data", few, names="expected two classes of at least 10")


def test_a_task_of_the_other_kind(pretrained: Path, pretrained_on_graphs: Path, nodes: str, tmp_path: Path) -> None:
    words = ("--recipe", "finetune_graphs")
    refused_run(tmp_path / "ft", "finetune", pretrained, *words, names="--recipe finetune_nodes is for these")
    refused_run(tmp_path / "ft", "finetune", pretrained_on_graphs, names="--recipe finetune_graphs is for these")
    refused("probe", pretrained_on_graphs, "--methods", "linear", names="expected some of svm")
    refused("probe", pretrained, "--methods", "linear,tree", names="'tree'")
    refused("probe", pretrained, "--epochs", "0", names="mmgraph probe: epochs 0: expected at least 1")


# Settings

SETTINGS = [
    ("--model.mask_ratio", "0"), ("--model.mask_ratio", "1"), ("--model.mask_ratio", "nan"),
    ("--model.mask_ratio", "most"), ("--model.replace_ratio", "1"), ("--model.gamma", "0"), ("--model.width", "0"),
    ("--model.encoder.heads", "5"), ("--model.encoder.depth", "0"), ("--model.encoder.feature_dropout", "1"),
    ("--model.encoder.kind", "gcnn"), ("--train.epochs", "0"), ("--train.batch_size", "0"), ("--train.seed", "-1"),
    ("--optim.lr", "nan"), ("--probe_nodes.epochs", "0"), ("--seeds", "0"),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value"), SETTINGS)
def test_settings_out_of_range(option: str, value: str, recipe: Path, tmp_path: Path) -> None:
    refused_run(tmp_path / "run", "pretrain", recipe, option, value, names=option.removeprefix("--"))


@pytest.mark.parametrize(
    ("option", "value"), [("--dropout", "1"), ("--seeds", "0"), ("--task", "edges"), ("--pool", "median"), ("--optim.lr", "-1")]
)  # fmt: skip
def test_settings_of_finetuning_out_of_range(option: str, value: str, pretrained: Path, tmp_path: Path) -> None:
    refused_run(tmp_path / "ft", "finetune", pretrained, option, value, names=option.removeprefix("--"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pretain",), "did you mean 'pretrain'?"),
        (("pretrain",), "usage: mmgraph pretrain RECIPE"),
        (("pretrain", "graphmae_coar"), "did you mean 'graphmae_cora'?"),
        (("pretrain", "finetune_nodes"), "names no system"),
        (("finetune",), "usage: mmgraph finetune RUN"),
        (("finetune", "run", "--recipe", "finetune_node"), "did you mean 'finetune_nodes'?"),
        (("finetune", "run", "--recipe", "demo"), "unknown key 'system'"),
        (("finetune", "nowhere"), "nowhere: no such folder"),
        (("probe",), "run"),
        (("probe", "nowhere"), "nowhere: no such folder"),
        (("embed", "nowhere"), "nowhere: no such folder"),
        (("convert", "x.pth"), "recipe"),
        (("convert", "x.pth", "graphmae_cora"), "x.pth: no such file"),
        (("convert", "x.pth", "finetune_nodes"), "names no system"),
        (("demo", "--seed", "-1"), "--seed -1"),
        (("demo", "--seeds", "0"), "--seeds 0"),
    ],
)
def test_words_that_are_not_known(words: tuple, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(*words, names=said)
    assert not list(tmp_path.iterdir())


# What is there already


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_written_over(pretrained: Path, recipe: Path, task: Path, tmp_path: Path) -> None:
    before = snapshot(pretrained)
    refused("pretrain", recipe, "--out", pretrained, names="holds a run already")
    error = refused("pretrain", recipe, "--out", pretrained, "--resume", "--optim.lr", 0.5)
    assert "optim.lr: 0.01 -> 0.5" in error
    full = tmp_path / "full"
    (full / "seed-0").mkdir(parents=True)
    (full / "seed-0/thesis.tex").write_text("all of it")
    refused("pretrain", recipe, "--out", full, names="not empty")
    refused("finetune", pretrained, "--recipe", task, "--out", full, names="not empty")
    refused("convert", tmp_path / "x.pth", recipe, "--out", full, names="not empty")
    assert snapshot(full) == {"seed-0/thesis.tex": b"all of it"}
    assert snapshot(pretrained) == before


def test_results_that_cannot_be_written(pretrained: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "no" / "x"
    for verb in ("embed", "probe"):
        refused(verb, pretrained, "--out", nowhere, names=f"--out {nowhere}: its folder does not exist")
    said = command("embed", pretrained, "--out", tmp_path)
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert "could not be written" in said.err


# Models


@pytest.fixture
def model(pretrained: Path, tmp_path: Path) -> Path:
    """A saved model to damage."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.json", "weights.safetensors"):
        shutil.copy(pretrained / name, folder)
    return folder


def damage(folder: Path, how: str) -> None:
    weights, described = folder / "weights.safetensors", json.loads((folder / "model.json").read_text())
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "no weights":
        weights.unlink()
    elif how == "another size":
        described["config"]["encoder"]["dim"] = 48
    elif how == "no such class":
        described["model"] = "GraphMAD"
    elif how == "unknown key":
        described["config"]["encoder"]["dims"] = 3
    (folder / "model.json").write_text("{" if how == "no JSON" else json.dumps(described))


@pytest.mark.parametrize("how", ["truncated", "no weights", "another size", "no such class", "unknown key", "no JSON"])
def test_damaged_models(how: str, model: Path, task: Path, nodes: str, tmp_path: Path) -> None:
    damage(model, how)
    refused("probe", model, "--data", nodes, names=model)
    refused_run(tmp_path / "x.npz", "embed", model, "--data", nodes, names=model)
    refused_run(tmp_path / "ft", "finetune", model, "--recipe", task, "--data", nodes, names=model)


def test_a_classifier_of_an_unknown_system(pretrained: Path, task: Path, nodes: str, tmp_path: Path) -> None:
    assert command("finetune", pretrained, "--recipe", task, "--out", tmp_path / "ft").status == 0
    classifier = tmp_path / "ft/seed-0"
    refused_run(tmp_path / "again", "finetune", classifier, "--data", nodes, names="is fine-tuned already")
    described = json.loads((classifier / "model.json").read_text())
    described["config"]["system"] = "GraphMAD"
    (classifier / "model.json").write_text(json.dumps(described))
    refused("embed", classifier, "--data", nodes, names="'GraphMAD' is no model of mmgraph")


def test_a_model_without_a_run_names_no_data(model: Path, tmp_path: Path) -> None:
    refused("probe", model, names="name some with --data")
    refused_run(tmp_path / "x.npz", "embed", model, names="name some with --data")
    refused_run(tmp_path / "ft", "finetune", model, names="name some with --data")


def test_official_checkpoints_that_do_not_fit(pretrained: Path, recipe: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "x.pth", tmp_path / "out"
    torch.save({"enc_mask_token": torch.zeros(1, WIDTH)}, path)
    whole = path.read_bytes()
    for content in (whole[:-100], b"", b"PK\x03\x04 no archive"):
        path.write_bytes(content)
        refused_run(out, "convert", path, recipe, names=path)
    states = {
        "a list": [1, 2],
        "no tensors": {"state_dict": {"a": 1}},
        "nothing": {},
        "another network": {"conv1.weight": torch.zeros(3)},
        "some missing": {"enc_mask_token": torch.zeros(1, WIDTH)},
        "another shape": {"enc_mask_token": torch.zeros(1, 3)},
        "ours": load_tensors(pretrained / "weights.safetensors"),
    }
    for state in states.values():
        torch.save(state, path)
        refused_run(out, "convert", path, recipe, names=path)


def test_a_pickle_that_would_execute_code(recipe: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    error = refused_run(tmp_path / "out", "convert", tmp_path / "evil.pth", recipe)
    assert "could execute code" in error
    assert not (tmp_path / "executed").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPU")
def test_a_gpu_that_is_not_there(recipe: Path, pretrained: Path, tmp_path: Path) -> None:
    refused_run(tmp_path / "run", "pretrain", recipe, "--run.accelerator", "gpu", names="run.accelerator gpu")
    refused("probe", pretrained, "--device", "cuda", names="--device cuda")
    refused_run(tmp_path / "x.npz", "embed", pretrained, "--device", "tpu9", names="--device tpu9")


def test_a_loss_that_is_not_finite_keeps_what_was_good(pretrained: Path, task: Path, tmp_path: Path) -> None:
    said = command("finetune", pretrained, "--recipe", task, "--optim.lr", 1e30, "--out", tmp_path / "ft")
    assert said.status == 2
    assert said.err.startswith("error: training diverged")
    assert not (tmp_path / "ft/seed-0/weights.safetensors").exists()


def test_graphs_and_labels_of_different_number(tmp_path: Path, recipe: Path) -> None:
    data = write_graphs(tmp_path / "ODD", 8)
    (tmp_path / "ODD/ODD_graph_labels.txt").write_text("0\n1\n" * 3)
    made = write_recipe(tmp_path / "r.yaml", ON_GRAPHS, data=data)
    refused_run(tmp_path / "run", "pretrain", made, names="ODD")
