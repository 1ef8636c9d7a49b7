"""Every command of mm3d with a model on sweeps, on tiny data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_mm3d import command, write_recipe
from tiny_voxels import write_sweeps

import core.cli.recipes
import mm3d.data.labelled_sweeps
import mm3d.data.sweeps
from core.saving import load_foreign
from mm3d.commands.demo import demo
from mm3d.models.voxel_mae import VoxelMAE
from mm3d.models.voxel_mae_official import from_official, to_official

RECIPE = {
    "system": "voxel_mae",
    "sweeps": {"max_points": 0, "max_voxels": 0, "minimum": 50},
    "model": {
        "encoder": {
            "grid": {"low": [-16.0, -16.0, -3.0], "high": [16.0, 16.0, 5.0], "voxel_size": [1.0, 1.0, 0.2]},
            "channels": [4, 4, 8, 8], "out_channels": 8, "norm_momentum": 0.1,
        },
        "decoder_channels": [8, 4],
        "mask": {"edges": [6.0, 12.0], "ratios": [0.9, 0.7, 0.5]},
    },
    "optim": {"lr": 0.01, "warmup_epochs": 0.5},
    "train": {"epochs": 2, "batch_size": 2},
    "run": {"accelerator": "cpu", "log_steps": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labelled sweeps as SemanticKITTI has them, of generated streets; cars and road are told apart."""
    return write_sweeps(tmp_path_factory.mktemp("sweeps") / "four", 4)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, sweeps: Path) -> Path:
    recipe = write_recipe(tmp_path_factory.mktemp("recipe") / "tiny_voxels.yaml", RECIPE, data=str(sweeps))
    out = tmp_path_factory.mktemp("pretrained") / "run"
    said = command("pretrain", recipe, "--out", out)
    assert said.status == 0, said.err
    return out


def test_a_run_explains_itself(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(np.isfinite(row["loss"]) and row["voxels_per_second"] > 0 for row in rows)
    said = json.loads((run / "environment.json").read_text())
    assert said["data"]["sweeps"] == 4
    assert len(said["data"]["fingerprint"]) == 16
    page = (run / "report.html").read_text()
    for words in ("VoxelMAE", "Predicted against true", "What the masks hide", "6 to 12 m", "ratio asked for"):
        assert words in page
    assert (run / "reconstruction.png").stat().st_size > 5_000


def test_resuming_gives_the_same_losses(run: Path, sweeps: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "tiny_voxels.yaml", RECIPE, data=str(sweeps))
    again = command("pretrain", recipe, "--out", tmp_path / "again")
    assert again.status == 0
    first, second = ((folder / "metrics.jsonl").read_text().splitlines() for folder in (run, tmp_path / "again"))
    assert [json.loads(a)["loss"] for a in first] == [json.loads(b)["loss"] for b in second]
    done = command("pretrain", recipe, "--out", tmp_path / "again", "--resume")
    assert "this run is finished" in done.out


def test_embed(run: Path, sweeps: Path, tmp_path: Path) -> None:
    said = command("embed", run, sweeps, "-o", tmp_path / "x.npz")
    assert said.status == 0, said.err
    made = np.load(tmp_path / "x.npz")
    assert made["features"].shape == (4, 16)
    assert [Path(name).name for name in made["files"]] == [f"{i:06d}.bin" for i in range(4)]
    alone = command("embed", run, sweeps / "velodyne" / "000002.bin", "-o", tmp_path / "y.npz")
    assert alone.status == 0
    np.testing.assert_allclose(np.load(tmp_path / "y.npz")["features"][0], made["features"][2], rtol=1e-4, atol=1e-5)


def test_reconstruct(run: Path, sweeps: Path, tmp_path: Path) -> None:
    said = command("reconstruct", run, sweeps, "--out", tmp_path / "look", "--seed", 3)
    assert said.status == 0, said.err
    assert "share hidden" in said.out
    assert (tmp_path / "look.png").stat().st_size > 5_000
    assert "000001.bin" in (tmp_path / "look.html").read_text()
    other = command("reconstruct", run, sweeps, "--out", tmp_path / "other", "--mask_ratio", 0.5)
    share = next(line.split() for line in other.out.splitlines() if line.startswith("all"))
    assert abs(float(share[-1]) - 0.5) < 0.01
    wrong = command("reconstruct", run, sweeps, "--out", tmp_path / "z", "--mask_ratio", 1.5)
    assert wrong.status == 2
    assert "--mask_ratio 1.5" in wrong.err


def test_probe(run: Path, sweeps: Path) -> None:
    said = command("probe", run, "--data", sweeps, "--seeds", 1)
    assert said.status == 0, said.err
    for words in ("pretrained", "untrained", "position and intensity alone", "last quarter of the sweeps"):
        assert words in said.out
    written = json.loads((run / "probe.json").read_text())
    assert {row["features"] for row in written["results"]} >= {"pretrained", "untrained"}
    assert all(0 <= row["miou"] <= 1 for row in written["results"])
    wrong = command("probe", run, "--data", "nowhere")
    assert wrong.status == 2
    assert "no such folder" in wrong.err


def test_one_frame_is_split_by_sectors(run: Path, sweeps: Path, tmp_path: Path) -> None:
    for kind in ("velodyne", "labels"):
        (tmp_path / kind).mkdir()
        for file in (sweeps / kind).glob("000000.*"):
            shutil.copy(file, tmp_path / kind)
    said = command("probe", run, "--data", tmp_path, "--seeds", 1, "--out", tmp_path / "p.json")
    assert said.status == 0, said.err
    assert "every fourth sector: a smoke test" in said.out


def test_the_backbone_is_exported_and_official_weights_come_in(run: Path, tmp_path: Path) -> None:
    said = command("convert", run, tmp_path / "backbone.pth")
    assert said.status == 0, said.err
    state = load_foreign(tmp_path / "backbone.pth")["model_state"]
    model = VoxelMAE.from_pretrained(run)
    assert len(state) == 72
    for name, tensor in from_official({n.removeprefix("backbone_3d."): t for n, t in state.items()}).items():
        assert torch.equal(tensor, model.state_dict()[name])
    torch.save({"model_state": to_official(model.state_dict())}, tmp_path / "official.pth")
    back = command("convert", tmp_path / "official.pth", tmp_path / "ours")
    assert back.status == 0, back.err
    loaded = VoxelMAE.from_pretrained(tmp_path / "ours")
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])
    again = command("convert", run, tmp_path / "backbone.pth")
    assert again.status == 2
    assert "expected the name of a new .pth file" in again.err


def test_bad_sweeps_are_one_line(run: Path, sweeps: Path, tmp_path: Path) -> None:
    bad = tmp_path / "velodyne"
    bad.mkdir()
    shutil.copy(sweeps / "velodyne" / "000000.bin", bad / "good.bin")
    (bad / "cut.bin").write_bytes(b"0" * 30)
    recipe = write_recipe(tmp_path / "tiny_voxels.yaml", RECIPE, data=str(tmp_path))
    for words in (("pretrain", recipe, "--out", tmp_path / "r"), ("embed", run, bad, "-o", tmp_path / "x.npz")):
        said = command(*words)
        assert said.status == 2
        assert said.err.count("\n") == 1
        assert "cut.bin: 30 bytes are no whole number of points" in said.err
    assert not (tmp_path / "r").exists()
    skipped = command("embed", run, bad, "-o", tmp_path / "x.npz", "--on_error", "skip")
    assert skipped.status == 0
    assert "skipped" in skipped.out
    train = command("pretrain", recipe, "--out", tmp_path / "r", "--sweeps.on_error", "skip", "--train.batch_size", 1)
    assert train.status == 0, train.err
    assert "1 samples could not be used" in train.out
    assert "cut.bin" in json.loads((tmp_path / "r" / "environment.json").read_text())["data"]["skipped"][0]


@pytest.mark.parametrize(("option", "value", "said"), [
    ("--model.encoder.grid.voxel_size", "[0.3, 1.0, 0.2]", "voxel_size 0.3: does not divide"),
    ("--model.mask.ratios", "[0.9]", "expected one more than the 2 edges"),
    ("--model.encoder.features", "5", "sweeps have 4"),
    ("--sweeps.scaling", "[2.0, 1.0]", "expected two positive factors"),
    ("--data", "nowhere", "no such file or folder"),
])  # fmt: skip
def test_bad_settings_are_one_line(sweeps: Path, tmp_path: Path, option: str, value: str, said: str) -> None:
    recipe = write_recipe(tmp_path / "tiny_voxels.yaml", RECIPE, data=str(sweeps))
    done = command("pretrain", recipe, "--out", tmp_path / "r", option, value)
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert said in done.err


def test_the_demo_ends_with_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: Path
) -> None:
    """The demo's own recipe with four sweeps, one epoch and the tiny network."""
    build, tiny = core.cli.recipes.build_recipe, VoxelMAE.from_pretrained(run).config

    def quicker(recipe: object, kind: type) -> object:
        made = build(recipe, kind)  # type: ignore[arg-type]
        made.train.epochs, made.optim.warmup_epochs, made.model, made.sweeps.minimum = 1, 0, tiny, 50
        return made

    monkeypatch.setattr(core.cli.recipes, "build_recipe", quicker)
    for module in (mm3d.data.sweeps, mm3d.data.labelled_sweeps):
        monkeypatch.setattr(module, "SWEEPS", 8)
    demo(str(tmp_path), recipe="voxel_mae")
    said = capsys.readouterr().out
    for words in ("pretrained: 2 steps", "position and intensity alone", "report.html"):
        assert words in said
    page = (tmp_path / "voxel_mae" / "report.html").read_text()
    assert "Did pretraining help? The class of a voxel" in page
    assert (tmp_path / "voxel_mae" / "reconstruction.png").exists()
