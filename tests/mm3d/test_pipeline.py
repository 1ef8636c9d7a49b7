"""The command line of mm3d from end to end, on data and networks so small that a command takes a second."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tiny_mm3d import SHAPES, TASK, Said, command, shape, write_clouds, write_recipe

from core.files import read_metrics
from core.saving import load_tensors
from mm3d.data.samples import PointSample, UnlabelledPoints
from mm3d.models import load_model
from mm3d.models.official import to_official
from mm3d.models.point_classifier import PointClassifier
from mm3d.models.point_mae_official import CLASSIFIER, PRETRAIN


def done(said: Said) -> str:
    """What a command printed that went well and had nothing to complain of."""
    assert said.status == 0, said.err
    assert said.err == ""
    return said.out


def test_pretraining_leaves_a_run_that_explains_itself(pretrained: Path, clouds: Path) -> None:
    names = {path.name for path in pretrained.iterdir()}
    assert names == {
        "config.yaml", "environment.json", "metrics.jsonl", "model.json", "weights.safetensors", "state",
        "report.html", "reconstruction.png", "curves.png",
    }  # fmt: skip
    environment = json.loads((pretrained / "environment.json").read_text())
    assert environment["data"]["clouds"] == 24
    assert environment["data"]["skipped"] == []
    assert "torch" in environment["packages"]
    text = (pretrained / "config.yaml").read_text()
    assert text.startswith("# A test\n")  # the paper of the recipe
    config = yaml.safe_load(text)
    assert config["data"] == str(clouds)
    assert config["train"]["batch_size"] == 4
    assert config["optim"]["weight_decay"] == 0.05  # defaults are written out
    rows = read_metrics(pretrained / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert (pretrained / "report.html").read_text().count("<img ") == 2  # reconstruction and curves
    assert load_model(pretrained).config.encoder.groups == 8


def test_resuming_a_finished_run_does_nothing_and_says_so(pretrained: Path, recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    before = {name: (run / name).read_bytes() for name in ("weights.safetensors", "metrics.jsonl", "report.html")}
    for words in ((recipe, "--out", run), (run,)):
        assert "this run is finished, all 6 steps were done already" in done(command("pretrain", *words, "--resume"))
        assert before == {name: (run / name).read_bytes() for name in before}


def test_ctrl_c_saves_and_says_how_to_go_on(
    pretrained: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    collate, calls = UnlabelledPoints.collate, []

    def interrupting(self: UnlabelledPoints, samples: Sequence[PointSample]) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return collate(self, samples)

    monkeypatch.setattr(UnlabelledPoints, "collate", interrupting)
    said = command("pretrain", recipe, "--out", run)
    assert said.status == 130
    assert said.err.count("\n") == 1
    assert f"Go on with: mm3d pretrain {run} --resume" in said.err
    assert not (run / "report.html").exists()
    assert 3 <= len(read_metrics(run / "metrics.jsonl")) < 6
    assert "6 steps" in done(command("pretrain", run, "--resume"))
    assert (run / "report.html").exists()
    losses = [[row["loss"] for row in read_metrics(folder / "metrics.jsonl")] for folder in (run, pretrained)]
    assert losses[0] == losses[1]
    assert (run / "weights.safetensors").read_bytes() == (pretrained / "weights.safetensors").read_bytes()


def test_probe_prints_a_table_and_writes_it(pretrained: Path, clouds: Path, tmp_path: Path) -> None:
    out = done(command("probe", pretrained, "--data", clouds, "--seeds", 2, "--out", tmp_path / "probe.json"))
    assert "accuracy on 12 test clouds, 2 seeds" in out
    said = json.loads((tmp_path / "probe.json").read_text())
    rows = {(row["features"], row["probe"]): row for row in said["results"]}
    assert set(rows) == {
        *((f, p) for f in ("pretrained", "untrained") for p in ("linear_svm", "logistic", "knn")),
        ("pairwise distances (no learning)", "400 extra trees"),
    }
    assert all(0 <= row["mean"] <= 1 for row in rows.values())
    assert rows["pairwise distances (no learning)", "400 extra trees"]["mean"] == 1  # the shapes are that different


def test_probe_without_controls_writes_into_the_run(pretrained: Path, clouds: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    words = ("--data", clouds, "--seeds", 1, "--controls", "false", "--methods", '["knn"]')
    out = done(command("probe", run, *words))
    assert "untrained" not in out
    assert [row["probe"] for row in json.loads((run / "probe.json").read_text())["results"]] == ["knn"]


def test_finetuning_with_two_seeds_and_votes(pretrained: Path, clouds: Path, task: Path, tmp_path: Path) -> None:
    words = (pretrained, "--recipe", task, "--out", tmp_path / "ft", "--seeds", 2, "--votes", 2)
    out = done(command("finetune", *words))
    assert "classification, 2 seed(s)" in out
    results = [json.loads((tmp_path / f"ft/seed-{seed}/result.json").read_text()) for seed in (0, 1)]
    assert all(set(result) == {"accuracy", "mean_class_accuracy", "validation"} for result in results)
    environment = json.loads((tmp_path / "ft/seed-1/environment.json").read_text())
    assert environment["seed"] == 1
    assert environment["pretrained"] == str(pretrained)
    model = load_model(tmp_path / "ft/seed-0")
    assert isinstance(model, PointClassifier)
    assert model.config.classes == SHAPES
    assert done(command("finetune", *words, "--resume")) == out
    assert "12 x 48" in done(command("embed", tmp_path / "ft/seed-0", clouds / "test", "-o", tmp_path / "x.npz"))


def test_finetuning_from_scratch_takes_sizes_and_not_weights(pretrained: Path, task: Path, tmp_path: Path) -> None:
    still = ("--optim.lr", 0, "--optim.warmup_lr", 0, "--optim.min_lr", 0)
    for name, words in (("with", ()), ("without", ("--scratch",))):
        done(command("finetune", pretrained, "--recipe", task, "--out", tmp_path / name, *words, *still))
    old = load_tensors(pretrained / "weights.safetensors")["encoder.transformer.blocks.0.mlp.fc1.weight"]
    new = {name: load_tensors(tmp_path / name / "seed-0/weights.safetensors") for name in ("with", "without")}
    assert torch.equal(new["with"]["encoder.transformer.blocks.0.mlp.fc1.weight"], old)
    assert not torch.equal(new["without"]["encoder.transformer.blocks.0.mlp.fc1.weight"], old)
    assert {n: t.shape for n, t in new["with"].items()} == {n: t.shape for n, t in new["without"].items()}
    assert json.loads((tmp_path / "without/seed-0/environment.json").read_text())["pretrained"] is None


def test_few_shot_episodes(pretrained: Path, task: Path, tmp_path: Path) -> None:
    words = ("--ways", 2, "--shots", 2, "--queries", 5, "--episodes", 2)
    out = done(command("finetune", pretrained, "--recipe", task, "--out", tmp_path / "few", *words))
    assert "2-way 2-shot, 2 episodes" in out
    result = json.loads((tmp_path / "few/result.json").read_text())
    assert len(result["accuracy"]) == 2
    episodes = [json.loads((tmp_path / f"few/episode-0{i}/environment.json").read_text()) for i in (0, 1)]
    assert all(len(set(episode["episode"])) == 2 and episode["data"]["clouds"] == 4 for episode in episodes)
    few = ("finetune", pretrained, "--recipe", task, "--out", tmp_path / "few")
    said = command(*few, *words)
    assert said.status == 2
    assert "holds a run already" in said.err
    assert "2-way 2-shot, 2 episodes" in done(command(*few, *words, "--resume"))
    other = command(*few, "--ways", 2, "--shots", 3, "--queries", 4, "--episodes", 2, "--resume")
    assert other.status == 2  # what another protocol trained on must not be scored
    assert "shots: 2 -> 3" in other.err
    assert json.loads((tmp_path / "few/result.json").read_text()) == result
    episode = tmp_path / "few/episode-00"  # trained on clouds of both splits
    said = command("probe", episode, "--out", tmp_path / "probe.json")
    assert said.status == 2
    assert "a few-shot episode, trained on clouds of both splits" in said.err
    said = command("finetune", episode, "--recipe", task, "--out", tmp_path / "again", *words)
    assert said.status == 2
    assert "is fine-tuned already; expected a pretrained model" in said.err


def test_the_last_batch_may_be_one_cloud(pretrained: Path, task: Path, tmp_path: Path) -> None:
    done(command("finetune", pretrained, "--recipe", task, "--out", tmp_path / "a", "--train.epochs", 1))
    clouds = json.loads((tmp_path / "a/seed-0/environment.json").read_text())["data"]["clouds"]
    words = ("--train.batch_size", clouds - 1, "--train.last_batch", "keep", "--train.epochs", 1)
    done(command("finetune", pretrained, "--recipe", task, "--out", tmp_path / "b", *words))
    assert len(read_metrics(tmp_path / "b/seed-0/metrics.jsonl")) >= 2
    assert 0 <= json.loads((tmp_path / "b/seed-0/result.json").read_text())["accuracy"] <= 1


def test_data_that_changed_is_not_resumed(pretrained: Path, clouds: Path, recipe: Path, tmp_path: Path) -> None:
    run, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(clouds, data)
    done(command("pretrain", recipe, "--data", data, "--out", run))
    (data / "train" / "ball" / "0.npy").unlink()
    said = command("pretrain", run, "--resume")
    assert said.status == 2
    assert "the data has changed since this run began" in said.err


def test_a_folder_with_the_name_of_a_recipe_is_not_its_run(
    clouds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "point_mae").mkdir()
    (tmp_path / "point_mae" / "notes.txt").write_text("mine")
    said = command("pretrain", "point_mae", "--data", clouds)
    assert said.status == 2
    assert "train.batch_size 128 is larger" in said.err  # and not that ./point_mae is no run


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("state/step-000000006/progress.json", "[1]", "progress of a run"),
        ("state/step-000000006/progress.json", None, "progress of a run"),
        ("metrics.jsonl", '{"loss": 1.0}\n', "rows without a step"),
        ("environment.json", "{", "not readable"),
    ],
)
def test_a_damaged_run_is_one_error(
    pretrained: Path, tmp_path: Path, name: str, content: str | None, expected: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    assert (run / name).exists()
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_text(content)
    said = command("pretrain", run, "--resume")
    assert said.status == 2
    assert expected in said.err
    assert said.err.count("\n") == 1


def test_a_full_disk_while_the_best_weights_are_written(
    pretrained: Path, task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tensors: object, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("core.training.selection.save_tensors", full)
    said = command("finetune", pretrained, "--recipe", task, "--out", tmp_path / "ft")
    assert said.status == 2
    assert "No space left on device" in said.err


def test_a_full_disk_while_the_report_is_written(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("core.reporting.page.write_atomically", full)
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status == 2
    assert said.err.endswith("No space left on device\n")
    assert (tmp_path / "run" / "weights.safetensors").is_file()


def stripes(count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Clouds whose upper points are one part and whose lower ones another."""
    points = generator.uniform(-1, 1, (count, 90, 3)).astype(np.float32)
    return points, (points[..., 1] > 0).astype(np.int64)


def write_parts(path: Path, train: int = 12, test: int = 4, **arrays: np.ndarray) -> Path:
    points, parts = stripes(train + test, np.random.default_rng(1))
    parts[:, :9] = -1  # some points have no label
    split = np.repeat([0, 1], [train, test])
    np.savez(path, points=points, seg=parts, seg_classes=np.array(["low", "high"]), split=split, **arrays)
    return path


def test_segmentation_of_arrays_learns_what_is_trivial(pretrained: Path, tmp_path: Path) -> None:
    data = write_parts(tmp_path / "parts.npz")
    words = ("--task", "segmentation", "--data", f"arrays:{data}", "--out", tmp_path / "seg")
    task = write_recipe(tmp_path / "task.yaml", TASK, train={"epochs": 24}, optim={"lr": 0.002})
    out = done(command("finetune", pretrained, "--recipe", task, *words))
    assert "part_miou" in out
    result = json.loads((tmp_path / "seg/seed-0/result.json").read_text())
    assert set(result) == {"instance_miou", "part_miou", "validation"}
    assert result["instance_miou"] > 0.75
    assert load_model(tmp_path / "seg/seed-0").class_code is None
    rows = read_metrics(tmp_path / "seg/seed-0/metrics.jsonl")
    assert [row["train_accuracy"] for row in rows if "train_accuracy" in row][-1] > 0.85


def write_shapenetpart(root: Path) -> Path:
    """A few bags and mugs in the layout of the public data set."""
    generator = np.random.default_rng(2)
    kinds = {"02773838": 4, "03797390": 36}  # Bag, Mug, with the first of their two parts
    listing = root / "synsetoffset2category.txt"
    root.mkdir()
    listing.write_text("Bag\t02773838\nMug\t03797390\n")
    (root / "train_test_split").mkdir()
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        items = []
        for synset, first in kinds.items():
            (root / synset).mkdir(exist_ok=True)
            points, parts = stripes(count, generator)
            for number in range(count):
                rows = np.hstack([points[number], np.zeros((90, 3)), parts[number, :, None] + first])
                np.savetxt(root / synset / f"{split}{number}.txt", rows, fmt="%.6f")
                items.append(f"shape_data/{synset}/{split}{number}")
        (root / "train_test_split" / f"shuffled_{split}_file_list.json").write_text(json.dumps(items))
    return root


def test_segmentation_of_shapes_with_classes(pretrained: Path, tmp_path: Path) -> None:
    data = write_shapenetpart(tmp_path / "shapenetpart")
    task = write_recipe(tmp_path / "task.yaml", TASK, task="segmentation", data=f"shapenetpart:{data}", votes=2)
    out = done(command("finetune", pretrained, "--recipe", task, "--out", tmp_path / "seg"))
    assert "class_miou" in out
    model = load_model(tmp_path / "seg/seed-0")
    assert len(model.config.parts) == 50
    assert len(model.config.classes) == 16
    result = json.loads((tmp_path / "seg/seed-0/result.json").read_text())
    assert all(0 <= value <= 1 for value in result.values())


def test_classification_learns_what_is_trivial(pretrained: Path, task: Path, tmp_path: Path) -> None:
    # Some 120 steps: running statistics start at 1 and forget a tenth of that a step.
    words = ("--train.epochs", 30, "--points.augment", "[]", "--out", tmp_path / "ft")
    done(command("finetune", pretrained, "--recipe", task, *words))
    rows = read_metrics(tmp_path / "ft/seed-0/metrics.jsonl")
    assert np.mean([row["train_accuracy"] for row in rows if "train_accuracy" in row][-8:]) > 0.8
    assert [round(row["epoch"]) for row in rows if "validation_accuracy" in row] == list(range(1, 31))
    assert (tmp_path / "ft/seed-0/curves.png").is_file()
    assert "mean class accuracy" in (tmp_path / "ft/seed-0/report.html").read_text()
    assert json.loads((tmp_path / "ft/seed-0/result.json").read_text())["accuracy"] > 0.8


def test_embedding_files_of_the_user(pretrained: Path, clouds: Path, tmp_path: Path) -> None:
    one = clouds / "test/ball/0.npy"
    assert "13 x 48" in done(command("embed", pretrained, one, clouds / "test", "-o", tmp_path / "features.npz"))
    with np.load(tmp_path / "features.npz", allow_pickle=False) as arrays:
        features, files = arrays["features"], arrays["files"]
    assert files[0] == files[1] == str(one)
    assert np.isfinite(features).all()
    np.savetxt(tmp_path / "same.xyz", np.load(one), fmt="%.9g")
    done(command("embed", pretrained, tmp_path / "same.xyz", "-o", tmp_path / "same.npz"))
    with np.load(tmp_path / "same.npz", allow_pickle=False) as arrays:
        np.testing.assert_allclose(arrays["features"][0], features[0], rtol=1e-4, atol=1e-5)


def test_reconstruction_leaves_out_bad_files(pretrained: Path, clouds: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"")
    words = ("reconstruct", pretrained, clouds / "test/ball/0.npy", bad, "--out", tmp_path / "look")
    assert command(*words).status == 2
    said = command(*words, "--on_error", "skip")
    assert said.status == 0
    assert f"skipped {bad}" in said.out
    assert (tmp_path / "look.png").is_file()


def test_reconstruction_is_a_picture_and_a_page(pretrained: Path, clouds: Path, tmp_path: Path) -> None:
    files = [clouds / f"test/{kind}/0.npy" for kind in SHAPES]
    out = done(command("reconstruct", pretrained, *files, "--out", tmp_path / "look", "--mask_ratio", 0.5))
    assert out.split() == [str(tmp_path / "look.png"), str(tmp_path / "look.html")]
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    page = (tmp_path / "look.html").read_text()
    assert "<html" in page.lower()
    first = (tmp_path / "look.png").read_bytes()
    done(command("reconstruct", pretrained, *files, "--out", tmp_path / "look", "--mask_ratio", 0.5))
    assert (tmp_path / "look.png").read_bytes() == first


@pytest.mark.parametrize("prefix", ["", "module."])
def test_official_pretraining_weights_and_back(pretrained: Path, tmp_path: Path, prefix: str) -> None:
    ours = load_tensors(pretrained / "weights.safetensors")
    official = {prefix + name: tensor for name, tensor in to_official(ours, PRETRAIN).items()}
    torch.save({"base_model": official, "epoch": 300, "metrics": {}}, tmp_path / "official.pth")
    sizes = ("--heads", 3, "--groups", 8, "--group_size", 8)
    out = done(command("convert", tmp_path / "official.pth", tmp_path / "ours", *sizes))
    assert "PointMAE" in out
    converted = load_tensors(tmp_path / "ours/weights.safetensors")
    assert converted.keys() == ours.keys()
    assert all(torch.equal(converted[name], ours[name]) for name in ours)
    points = torch.from_numpy(shape("box", np.random.default_rng(3), 64))[None]
    with torch.no_grad():
        features = [load_model(folder).encode(points) for folder in (pretrained, tmp_path / "ours")]
    assert torch.equal(*features)


def test_official_classifier_weights_and_back(pretrained: Path, task: Path, tmp_path: Path) -> None:
    done(command("finetune", pretrained, "--recipe", task, "--out", tmp_path / "ft"))
    ours = load_tensors(tmp_path / "ft/seed-0/weights.safetensors")
    torch.save({"base_model": to_official(ours, CLASSIFIER)}, tmp_path / "official.pth")
    out = done(command("convert", tmp_path / "official.pth", tmp_path / "ours", "--heads", 3))
    assert "PointClassifier" in out
    converted = load_tensors(tmp_path / "ours/weights.safetensors")
    assert all(torch.equal(converted[name], ours[name]) for name in ours)
    assert load_model(tmp_path / "ours").config.classes == ("class 0", "class 1", "class 2")


def test_one_bad_file_among_many_is_skipped_and_listed(recipe: Path, task: Path, tmp_path: Path) -> None:
    data = write_clouds(tmp_path / "clouds", train=4, test=2)
    (data / "train/box/broken.npy").write_bytes(b"no array")
    np.save(data / "train/box/few.npy", np.eye(3, dtype=np.float32))
    np.save(data / "test/box/flat.npy", np.ones((90, 3), np.float32))
    words = ("--data", data, "--points.on_error", "skip", "--out")
    out = done(command("pretrain", recipe, *words, tmp_path / "run"))
    assert "2 samples could not be used and were left out" in out
    said = json.loads((tmp_path / "run/environment.json").read_text())["data"]
    assert said["clouds"] == 12
    assert [item.split(":")[0] for item in said["skipped"]] == ["train/box/broken.npy", "train/box/few.npy"]
    out = done(command("finetune", tmp_path / "run", "--recipe", task, *words, tmp_path / "ft"))
    assert "1 test clouds could not be used and are not counted" in out
    result = json.loads((tmp_path / "ft/seed-0/result.json").read_text())
    assert result["test_clouds_left_out"] == 1
    out = done(
        command(
            "probe",
            tmp_path / "run",
            "--data",
            data,
            "--on_error",
            "skip",
            "--seeds",
            1,
            "--methods",
            '["knn"]',
        )
    )
    assert "1 clouds of the test split could not be used and count as wrong" in out
    few = ("embed", tmp_path / "run", data / "train/box", "--on_error", "skip", "-o", tmp_path / "x.npz")
    assert done(command(*few)).count("skipped") == 2


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--help",
        "pretrain --help",
        "pretrain demo --help",
        "finetune -h",
        "probe -h",
        "embed -h",
        "convert -h",
    ],
)
def test_help(words: str) -> None:
    out = done(command(*words.split()))
    assert "usage: mm3d" in out
