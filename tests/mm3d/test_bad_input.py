"""Input that cannot be used: one line that names it, exit status 2, and nothing half-made left behind."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tiny_mm3d import RECIPE, SHAPES, command, shape, write_clouds, write_recipe

from core.saving import load_tensors
from mm3d.models.official import to_official
from mm3d.models.point_mae_official import PRETRAIN

POINTS = shape("box", np.random.default_rng(5))


def refused(*words: object, names: object = "") -> str:
    """The error of a command that has to fail as the user is promised."""
    said = command(*words)
    assert said.status == 2, said
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.endswith("\n")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    assert str(names) in said.err
    return said.err


def refused_run(out: Path, *words: object, names: object = "") -> str:
    """As :func:`refused`, of a command that would make the run folder ``out``."""
    error = refused(*words, "--out", out, names=names)
    assert not out.exists()
    return error


# Files


def npy(points: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, points)
    return buffer.getvalue()


def changed(value: float) -> np.ndarray:
    points = POINTS.copy()
    points[7, 1] = value
    return points


BAD_FILES = {
    "empty.npy": (b"", "is empty"),
    "truncated.npy": (npy(POINTS)[:300], ""),
    "flat.npy": (npy(POINTS[:, :2]), "(N, 3)"),
    "words.xyz": (b"these are\nno numbers\n", ""),
    "cut.ply": (b"ply\nformat ascii 1.0\nelement vertex 9\nproperty float x\nend_header\n1\n", ""),
    "nan.npy": (npy(changed(np.nan)), "1 of 90 points have NaN or infinite"),
    "infinite.npy": (npy(changed(np.inf)), "1 of 90 points have NaN or infinite"),
    "equal.npy": (npy(np.ones((90, 3))), "all 90 points are equal"),
    "three.npy": (npy(POINTS[:3]), "3 different points; 8 patches of 8 points need 8"),
    "repeated.npy": (npy(np.repeat(POINTS[:4], 30, 0)), "4 different points"),
    "objects.npy": (npy(np.array([{"a": 1}], dtype=object)), ""),
}


@pytest.fixture(params=BAD_FILES)
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "inputs" / request.param
    path.parent.mkdir()
    path.write_bytes(BAD_FILES[request.param][0])
    return path


def test_a_bad_file_in_training_data_stops(bad: Path, recipe: Path, tmp_path: Path) -> None:
    data = write_clouds(tmp_path / "clouds", train=3, test=1)
    shutil.copy(bad, data / "train/box")
    error = refused_run(tmp_path / "run", "pretrain", recipe, "--data", data, names=f"train/box/{bad.name}")
    assert BAD_FILES[bad.name][1] in error


def test_a_bad_file_to_embed_or_reconstruct(bad: Path, pretrained: Path, clouds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    good = clouds / "test/ball/0.npy"
    for words in (("embed", "-o", out / "x.npz"), ("reconstruct", "--out", out / "x")):
        error = refused(words[0], pretrained, good, bad, *words[1:], names=bad)
        assert BAD_FILES[bad.name][1] in error
    assert not list(out.iterdir())


@pytest.mark.parametrize("verb", ["embed", "reconstruct"])
def test_inputs_that_are_not_there(verb: str, pretrained: Path, tmp_path: Path) -> None:
    refused(verb, pretrained, tmp_path / "missing.ply", names=tmp_path / "missing.ply")
    refused(verb, pretrained, tmp_path, names="no point files")
    (tmp_path / "x.docx").write_bytes(b"1")
    refused(verb, pretrained, tmp_path / "x.docx", names="unknown suffix .docx")
    assert "required" in refused(verb, pretrained)


def test_results_that_cannot_be_written(pretrained: Path, clouds: Path) -> None:
    cloud, nowhere = clouds / "test/ball/0.npy", clouds / "test/ball/0.npy" / "x"
    refused("embed", pretrained, cloud, "-o", nowhere, names=nowhere)
    refused("reconstruct", pretrained, cloud, "--out", nowhere, names=nowhere)
    said = command("probe", pretrained, "--data", clouds, "--seeds", 1, "--methods", '["knn"]',
                   "--controls", "false", "--out", nowhere)  # fmt: skip
    assert said.status == 2
    assert said.err.count("\n") == 1
    assert str(nowhere) in said.err
    assert "does not exist" in said.err  # before anything is computed


def write_arrays(path: Path, **changes: np.ndarray | None) -> Path:
    arrays = {
        "points": np.stack([shape(SHAPES[i % 2], np.random.default_rng(i)) for i in range(12)]),
        "label": np.arange(12) % 2,
        "classes": np.array(SHAPES[:2]),
        "split": np.repeat([0, 1], [8, 4]),
    }
    np.savez(path, **{name: a for name, a in {**arrays, **changes}.items() if a is not None})
    return path


BAD_ARRAYS = {
    "label outside the classes": ({"label": np.arange(12)}, "label 2 is outside the 2 classes"),
    "labels of words": ({"label": np.array(["a", "b"] * 6)}, "expected integers"),
    "not in three dimensions": ({"points": np.zeros((12, 90, 2))}, "expected floats (M, N, 3)"),
    "no points": ({"points": None}, "no array 'points'"),
    "an unknown split": ({"split": np.full(12, 7)}, "7"),
    "unequal counts": ({"label": np.zeros(3, int)}, "label is (3,)"),
    "few points": ({"points": np.random.default_rng(0).random((12, 5, 3))}, "5 different points"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays(case: str, recipe: Path, tmp_path: Path) -> None:
    changes, said = BAD_ARRAYS[case]
    data = write_arrays(tmp_path / "data.npz", **changes)
    error = refused_run(tmp_path / "run", "pretrain", recipe, "--data", data)
    assert said in error


@pytest.mark.parametrize(
    ("data", "said"),
    [("missing", "'missing'"), ("shapes", "shapes:path"), ("modelnt40:x", "did you mean 'modelnet40'"),
     ("arrays:nowhere.npz", "nowhere.npz"), ("modelnet40:nowhere", "nowhere"), ("", "nothing given")],
)  # fmt: skip
def test_data_that_is_not_there(data: str, said: str, recipe: Path, tmp_path: Path) -> None:
    refused_run(tmp_path / "run", "pretrain", recipe, "--data", data, names=said)


def test_a_bad_validation_split_is_not_taken_for_a_missing_one(pretrained: Path, task: Path, tmp_path: Path) -> None:
    data = write_clouds(tmp_path / "clouds", train=3, test=1)
    shutil.copytree(data / "test", data / "val")
    (data / "val/box/0.npy").write_bytes(b"no array")
    words = ("finetune", pretrained, "--recipe", task, "--data", data)
    refused_run(tmp_path / "ft", *words, names="val/box/0.npy")


# Recipes, options and settings

BAD_RECIPES = {
    "unknown key": ("system: point_mae\nmodle: {}\n", "unknown key 'modle'; did you mean 'model'?"),
    "unknown nested key": ("system: point_mae\ntrain: {epoch: 1}\n", "'train.epoch'; did you mean 'epochs'?"),
    "key that is a number": ("system: point_mae\n3: 4\n", "unknown key '3'"),
    "text for a number": (
        "system: point_mae\ntrain: {epochs: many}\n",
        "train.epochs: expected a whole number",
    ),
    "fraction for a number": (
        "system: point_mae\ntrain: {epochs: 1.5}\n",
        "train.epochs: expected a whole number",
    ),
    "no value": ("system: point_mae\ntrain: {epochs: null}\n", "train.epochs has no value"),
    "no section": ("system: point_mae\ntrain: 3\n", "train is a section"),
    "empty section": ("system: point_mae\noptim:\n", "optim is a section"),
    "short pair": ("system: point_mae\noptim: {betas: [0.9]}\n", "optim.betas: expected"),
    "unknown choice": (
        "system: point_mae\npoints: {augment: [spin]}\n",
        "points.augment: expected one of 'scale",
    ),
    "unknown system": ("system: point_bart\n", "system 'point_bart' cannot be pretrained"),
    "system of another type": ("system: [point_mae]\n", "cannot be pretrained"),
    "no system": ("train: {epochs: 1}\n", "names no system"),
    "not YAML": ("a: [1\n", "not readable as YAML"),
    "not text": (b"\xff\xfe\x00\xba", "not readable as YAML"),
    "empty": ("", "expected keys and values"),
    "a list": ("- 1\n", "expected keys and values"),
    "out of range": ("system: point_mae\ntrain: {epochs: 0}\n", "train.epochs 0: expected at least 1"),
    "code": ("system: !!python/object/apply:os.mkdir [hacked]\n", "not readable as YAML"),
}


@pytest.mark.parametrize("case", BAD_RECIPES)
def test_bad_recipes(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content, said = BAD_RECIPES[case]
    path = tmp_path / "bad.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    error = refused_run(tmp_path / "run", "pretrain", path, names=f"error: {path}: ")
    assert said in error
    assert [item.name for item in tmp_path.iterdir()] == ["bad.yaml"]


SETTINGS = [
    ("--model.mask_ratio", "0"), ("--model.mask_ratio", "1"), ("--model.mask_ratio", "1.5"),
    ("--model.mask_ratio", "-1"), ("--model.mask_ratio", "nan"), ("--model.mask_ratio", "most"),
    ("--train.batch_size", "0"), ("--train.batch_size", "-4"), ("--train.batch_size", "100"),
    ("--train.epochs", "0"), ("--train.epochs", "-1"), ("--train.epochs", "null"),
    ("--train.accumulate", "0"), ("--train.seed", "-1"), ("--train.precision", "8"),
    ("--model.encoder.widths", "[8, 0, 8]"),
    ("--optim.lr", "nan"), ("--optim.lr", "inf"), ("--optim.lr", "-1"), ("--optim.betas", "[0.9, 1.5]"),
    ("--optim.weight_decay", "-1"), ("--optim.warmup_epochs", "-1"), ("--optim.clip_norm", "0"),
    ("--model.encoder.heads", "5"), ("--model.encoder.heads", "0"), ("--model.decoder_heads", "5"),
    ("--model.encoder.dim", "0"), ("--model.encoder.depth", "0"), ("--model.decoder_depth", "0"),
    ("--model.encoder.drop_path", "1"), ("--model.encoder.groups", "0"), ("--model.encoder.group_size", "0"),
    ("--points.count", "0"), ("--points.count", "-1"), ("--points.up_axis", "4"),
    ("--run.devices", "0"), ("--run.nodes", "0"), ("--run.workers", "-1"), ("--run.threads", "-1"),
    ("--run.log_steps", "0"), ("--run.save_steps", "-1"), ("--run.trackers", "[paper]"),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value"), SETTINGS)
def test_settings_out_of_range(option: str, value: str, recipe: Path, tmp_path: Path) -> None:
    refused_run(tmp_path / "run", "pretrain", recipe, option, value, names=option.removeprefix("--"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--points.count", 4), "points.count 4: fewer than 8 patches of 8 points need"),
        (("--model.encoder.groups", 100), "points.count 64: fewer than 100 patches of 8 points need"),
        (("--model.encoder.group_size", 100), "points.count 64: fewer than 8 patches of 100 points need"),
        (("--model.encoder.groups", 1), "encoder.groups 1: expected at least 2"),
        (("--train.accumulate", 3), "train.batch_size 4 does not divide into 1 processes x 3"),
        (("--train.epoch", 3), "unknown option --train.epoch; did you mean '--train.epochs'?"),
        (("--epochs", 3), "unknown option --epochs; did you mean '--train.epochs'?"),
        (("--resum",), "unknown option --resum; did you mean '--resume'?"),
        (("--train.epochs",), "train.epochs"),
        (("more",), "more"),
    ],
)
def test_settings_that_do_not_fit(words: tuple, said: str, recipe: Path, tmp_path: Path) -> None:
    refused_run(tmp_path / "run", "pretrain", recipe, *words, names=said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pretain",), "did you mean 'pretrain'?"),
        (("pretrain",), "usage: mm3d pretrain RECIPE"),
        (("pretrain", "point_ame"), "did you mean 'point_mae'?"),
        (("pretrain", "finetune"), "names no system"),
        (("pretrain", "missing.yaml"), "missing.yaml"),
        (("finetune",), "usage: mm3d finetune RUN"),
        (("finetune", "run", "--recipe", "finetun"), "did you mean 'finetune'?"),
        (("finetune", "run", "--recipe", "demo"), "unknown key 'system'"),
        (("probe",), "run"),
        (("probe", "nowhere"), "nowhere"),
        (("embed", "nowhere", "x.ply"), "nowhere: no such folder"),
        (("convert", "x.pth"), "out"),
        (("demo", "--seed", "-1"), "--seed -1"),
    ],
)
def test_words_that_are_not_known(words: tuple, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(*words, names=said)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPU")
def test_a_gpu_that_is_not_there(recipe: Path, pretrained: Path, clouds: Path, tmp_path: Path) -> None:
    words = ("pretrain", recipe, "--run.accelerator", "gpu", "--run.devices", 3)
    refused_run(tmp_path / "run", *words, names="run.accelerator gpu")
    refused("probe", pretrained, "--data", clouds, "--device", "cuda", names="--device cuda")
    refused("embed", pretrained, clouds / "test", "--device", "tpu9", names="--device tpu9")


def test_more_gpus_than_there_are(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    words = ("pretrain", recipe, "--run.accelerator", "gpu", "--run.devices", 3)
    refused_run(tmp_path / "run", *words, names="run.devices 3: this machine has 2")


def test_a_tracker_that_is_not_installed(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.training.trackers.find_spec", lambda name: None)
    words = ("pretrain", recipe, "--run.trackers", "[wandb]")
    refused_run(tmp_path / "run", *words, names="pip install 'mm-beyond[wandb]'")


# Run folders


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_run_folders_are_not_written_over(pretrained: Path, recipe: Path, tmp_path: Path) -> None:
    before = snapshot(pretrained)
    refused("pretrain", recipe, "--out", pretrained, names=pretrained)
    refused("pretrain", pretrained, names="--resume")
    words = ("--resume", "--optim.lr", 0.5, "--train.epochs", 9)
    error = refused("pretrain", recipe, "--out", pretrained, *words, names=pretrained)
    assert "optim.lr: 0.001 -> 0.5" in error
    assert "train.epochs: 1 -> 9" in error
    assert snapshot(pretrained) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.tex").write_text("all of it")
    for words in ((), ("--resume",)):
        refused("pretrain", recipe, "--out", tmp_path / "full", *words, names="not empty")
        refused("pretrain", recipe, "--out", tmp_path / "full/thesis.tex", *words, names="is a file")
    refused("pretrain", recipe, "--out", tmp_path / "full/thesis.tex/run", names="thesis.tex")
    assert snapshot(tmp_path / "full") == {"thesis.tex": b"all of it"}


def test_config_of_a_run_that_was_damaged(pretrained: Path, clouds: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    config = yaml.safe_load((run / "config.yaml").read_text())
    for damaged in ("{", "- 1", yaml.safe_dump({**config, "points": {"cuont": 3}}), "points: 3"):
        (run / "config.yaml").write_text(damaged)
        refused("probe", run, "--data", clouds, names=run / "config.yaml")
        refused("pretrain", run, "--resume", names=run / "config.yaml")


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
    elif how == "empty":
        weights.write_bytes(b"")
    elif how == "no weights":
        weights.unlink()
    elif how == "another size":
        described["config"]["encoder"]["dim"] = 48
    elif how == "another depth":
        described["config"]["encoder"]["depth"] = 3
    elif how == "no such class":
        described["model"] = "PointMEA"
    elif how == "unknown key":
        described["config"]["encoder"]["dims"] = 3
    elif how == "out of range":
        described["config"]["encoder"]["heads"] = 5
    (folder / "model.json").write_text("{" if how == "no JSON" else json.dumps(described))


DAMAGES = (
    "truncated", "empty", "no weights", "another size", "another depth", "no such class", "unknown key",
    "out of range", "no JSON",
)  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_models(how: str, model: Path, task: Path, clouds: Path, tmp_path: Path) -> None:
    damage(model, how)
    refused("probe", model, "--data", clouds, names=model)
    refused("embed", model, clouds / "test", "-o", tmp_path / "x.npz", names=model)
    refused("reconstruct", model, clouds / "test", names=model)
    if how != "no such class":  # fine-tuning takes any model that has a patch encoder
        refused_run(tmp_path / "ft", "finetune", model, "--recipe", task, names=model)


class Evil:
    """What unpickling executes."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.marker,))


def test_a_pickle_that_would_execute_code(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    torch.save({"base_model": Evil(marker)}, tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil(marker)))
    with (tmp_path / "evil.npy").open("wb") as file:
        np.save(file, np.array([Evil(marker)], dtype=object), allow_pickle=True)
    torch.load(tmp_path / "evil.pth", weights_only=False)  # it would
    assert marker.exists()
    marker.unlink()
    for name in ("evil.pth", "plain.pth"):
        path = tmp_path / name
        refused("convert", path, tmp_path / "out", names=path)
        assert not (tmp_path / "out").exists()
    assert "could execute code" in refused("convert", tmp_path / "evil.pth", tmp_path / "out")
    data = tmp_path / "data/train/a"
    data.mkdir(parents=True)
    shutil.copy(tmp_path / "evil.npy", data)
    recipe = write_recipe(tmp_path / "r.yaml", RECIPE, data=str(tmp_path / "data"))
    refused_run(tmp_path / "run", "pretrain", recipe, names="evil.npy")
    assert not marker.exists()


def test_official_checkpoints_that_do_not_fit(pretrained: Path, tmp_path: Path) -> None:
    official = to_official(load_tensors(pretrained / "weights.safetensors"), PRETRAIN)
    path, out = tmp_path / "x.pth", tmp_path / "out"
    torch.save({"base_model": official}, path)
    whole = path.read_bytes()
    sizes = ("--heads", 3, "--groups", 8, "--group_size", 8)
    assert "give --group_size 8" in refused("convert", path, out, "--heads", 3, names=path)
    assert "heads 5: do not divide dim 24" in refused("convert", path, out, "--heads", 5, *sizes[2:], names=path)
    refused("convert", path, out, *sizes[:2], "--groups", 0, *sizes[4:], names=path)
    for content in (whole[:-100], whole[:50], b"", b"PK\x03\x04 no archive"):
        path.write_bytes(content)
        refused("convert", path, out, *sizes, names=path)
    states = {
        "a list": [1, 2],
        "no tensors": {"base_model": {"a": 1}},
        "another network": {"conv1.weight": torch.zeros(3)},
        "one missing": {name: t for name, t in official.items() if name != "MAE_encoder.norm.bias"},
        "one missing that tells a size": {n: t for n, t in official.items() if n != "increase_dim.0.weight"},
        "one too many": {**official, "lm_head.weight": torch.zeros(2)},
        "another shape": {**official, "MAE_encoder.norm.bias": torch.zeros(5)},
    }
    for state in states.values():
        torch.save(state, path)
        refused("convert", path, out, *sizes, names=path)
    refused("convert", tmp_path / "missing.pth", out, names=tmp_path / "missing.pth")
    assert not out.exists()
    path.write_bytes(whole)
    refused("convert", path, path, *sizes, names=path)  # the target is a file
    refused("convert", path, tmp_path, *sizes, names="not empty")
    assert path.read_bytes() == whole


# Data that does not fit the task


def test_probes_need_labels_of_two_classes(pretrained: Path, tmp_path: Path) -> None:
    cases = {
        "no labels": ({"label": np.full(12, -1)}, "no labelled clouds in its train split"),
        "no labels in test": (
            {"label": np.where(np.arange(12) < 8, np.arange(12) % 2, -1)},
            "in its test split",
        ),
        "one class": ({"label": np.zeros(12, int)}, "at least two classes"),
        "no test split": ({"split": np.zeros(12, int)}, "no clouds of split 'test'"),
    }
    for name, (changes, said) in cases.items():
        data = write_arrays(tmp_path / f"{name}.npz", **changes)
        assert said in refused("probe", pretrained, "--data", data, names=data)
    for words in (("--seeds", 0), ("--seeds", "some"), ("--methods", '["svm"]')):
        refused("probe", pretrained, *words, names=words[0].removeprefix("--"))


def test_probe_of_a_folder_without_test_split(pretrained: Path, clouds: Path) -> None:
    refused("probe", pretrained, "--data", clouds / "train", names="'test'")


@pytest.mark.parametrize(
    ("changes", "words", "said"),
    [
        ({"label": np.full(12, -1)}, (), "no labelled clouds"),
        ({"label": np.zeros(12, int)}, (), "at least two classes"),
        ({"split": np.zeros(12, int)}, (), "no clouds of split 'test'"),
        ({}, ("--task", "segmentation"), "needs a part label for every point"),
        ({}, ("--train.batch_size", 1), "train.batch_size 1: expected at least 2"),
        ({}, ("--train.batch_size", 64), "larger than the 6 training samples"),
        ({}, ("--points.count", 4), "points.count 4"),
        ({}, ("--groups", 65), "points.count 64: fewer than 65 patches"),
        ({}, ("--votes", 0), "--votes 0: expected at least 1"),
        ({}, ("--validation", 0), "--validation 0"),
        ({}, ("--validation", 1), "--validation 1"),
        ({}, ("--seeds", 0), "--seeds 0"),
        ({}, ("--ways", -1), "--ways -1"),
        ({}, ("--ways", 2, "--shots", 0), "--shots 0"),
        ({}, ("--ways", 2, "--episodes", 0), "--episodes 0"),
        ({}, ("--ways", 5, "--shots", 1, "--queries", 1), "2 of 2 classes have 1 + 1 samples; expected 5"),
        ({}, ("--ways", 2, "--shots", 9), "0 of 2 classes have 9 + 20 samples; expected 2"),
    ],
)
def test_finetuning_that_cannot_be(
    changes: dict, words: tuple, said: str, pretrained: Path, task: Path, tmp_path: Path
) -> None:
    data = write_arrays(tmp_path / "data.npz", **changes)
    refused_run(tmp_path / "ft", "finetune", pretrained, "--recipe", task, "--data", data, *words, names=said)


PARTS = {"seg": (np.arange(90) % 2)[None].repeat(12, 0), "seg_classes": np.array(["low", "high"])}


@pytest.mark.parametrize(
    ("changes", "words", "said"),
    [
        ({}, ("--layers", "[0, 2]"), "layers [0, 2]: the encoder has blocks 0 to 1"),
        ({}, ("--layers", "[-1]"), "--layers [-1]"),
        ({}, ("--layers", "[]"), "--layers []"),
        ({}, ("--ways", 2), "episodes are classified"),
        ({"seg": np.full((12, 90), -1)}, (), "no labelled clouds"),
        ({"seg": np.full((12, 90), 2)}, (), "part label 2 is not one of this data"),
        ({"label": np.full(12, -1)}, (), "no class"),
    ],
)
def test_segmentation_that_cannot_be(
    changes: dict, words: tuple, said: str, pretrained: Path, task: Path, tmp_path: Path
) -> None:
    data = write_arrays(tmp_path / "data.npz", **{**PARTS, **changes})
    given = ("--task", "segmentation", "--data", data, *words)
    refused_run(tmp_path / "ft", "finetune", pretrained, "--recipe", task, *given, names=said)


def test_models_that_cannot_do_what_is_asked(pretrained: Path, clouds: Path, task: Path, tmp_path: Path) -> None:
    data = write_arrays(tmp_path / "parts.npz", **PARTS)
    for name, words in (("class", ()), ("parts", ("--task", "segmentation", "--data", data))):
        assert command("finetune", pretrained, "--recipe", task, "--out", tmp_path / name, *words).status == 0
    classifier, segmenter = tmp_path / "class/seed-0", tmp_path / "parts/seed-0"
    cloud = clouds / "test/ball/0.npy"
    for run in (classifier, segmenter):
        refused("reconstruct", run, cloud, "--out", tmp_path / "x", names=f"{run}: a P")
    refused("embed", segmenter, cloud, "-o", tmp_path / "x.npz", names=f"{segmenter}: a PartSegmenter")
    refused("probe", segmenter, "--data", clouds, names=f"{segmenter}: a PartSegmenter")
    refused("embed", tmp_path / "class", cloud, names=tmp_path / "class")  # the folder of the seeds
    refused("pretrain", classifier, "--resume", names="names no system")
    for ratio in ("0", "1", "nan", "-1"):
        refused("reconstruct", pretrained, cloud, "--mask_ratio", ratio, names="mask_ratio")
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "model.json").write_text(json.dumps({"model": "Tokenizer", "config": {"dim": 3}}))
    words = ("finetune", strange, "--recipe", task)
    assert "no patch encoder" in refused_run(tmp_path / "ft", *words, names=strange)
    refused("embed", strange, cloud, names="'Tokenizer' is no model of mm3d")


def test_a_process_of_its_own_says_no_more_than_that(recipe: Path, tmp_path: Path) -> None:
    """Warnings of libraries at import or at exit would show here."""
    words = ["pretrain", str(recipe), "--train.epochs", "0", "--out", str(tmp_path / "run")]
    said = subprocess.run(
        [sys.executable, "-c", "from mm3d.cli import main; main()", *words], capture_output=True, text=True
    )
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "error: --train.epochs 0: expected at least 1\n"


def test_a_loss_that_is_not_finite_keeps_what_was_good(task: Path, pretrained: Path, tmp_path: Path) -> None:
    run = tmp_path / "ft/seed-0"
    words = ("--recipe", task, "--optim.lr", 1e30, "--train.epochs", 3, "--out", tmp_path / "ft")
    said = command("finetune", pretrained, *words)
    assert said.status == 2
    assert said.err.startswith("error: training diverged")
    assert said.err.count("\n") == 1
    assert not (run / "result.json").exists()
    assert not (run / "weights.safetensors").exists()
