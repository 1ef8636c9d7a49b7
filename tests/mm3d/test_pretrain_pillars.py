"""Pretraining on pillars through the command line, on sweeps of a few hundred points."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from one_command import write_recipe
from tiny_mm3d import command

from core.cli.recipes import build_recipe, find_recipe
from core.random import generator
from core.training.optim import new_optimizer
from mm3d.commands.pretrain import RECIPES
from mm3d.config.pillars import GeoMAEConfig, HessVoxelMAEConfig, PillarGridConfig, whole_sweeps
from mm3d.data.pillar_samples import PillarSamples
from mm3d.data.sweeps import find_sweeps
from mm3d.layers.pillars import Pillars
from mm3d.models.geomae import GeoMAE
from mm3d.models.voxel_mae_hess import HessVoxelMAE
from mm3d.pillars.cells import pillar_cells

GRID = {"low": [-8.0, -6.0, -2.0], "high": [8.0, 6.0, 2.0], "voxel_size": [1.0, 1.0, 4.0]}
ENCODER = {"grid": GRID, "point_dim": 8, "dim": 16, "depth": 1, "heads": 2, "hidden": 24, "window": 4}
RECIPE = {
    "sweeps": {"max_points": 0, "max_voxels": 0, "augment": ["rotate", "flip_x"], "rotation": 3.0, "minimum": 20},
    "model": {"encoder": ENCODER, "decoder_depth": 1},
    "optim": {"warmup_epochs": 0.5},
    "train": {"epochs": 2, "batch_size": 2},
    "run": {"accelerator": "cpu", "log_steps": 1},
}
SYSTEMS = {"voxel_mae_hess": HessVoxelMAE, "geomae": GeoMAE}


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sweeps of a floor and a wall."""
    root, draws = tmp_path_factory.mktemp("sweeps"), np.random.default_rng(0)
    for number in range(4):
        points = draws.uniform([-8, -6, -1.6], [8, 6, -1.5], (400, 3))
        points[300:, 0], points[300:, 2] = 5.5, draws.uniform(-1.5, 1.5, 100)
        np.save(root / f"{number}.npy", np.concatenate([points, draws.random((400, 1))], 1).astype(np.float32))
    return root


@pytest.fixture(scope="module", params=SYSTEMS)
def trained(request: pytest.FixtureRequest, sweeps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of each system."""
    folder = tmp_path_factory.mktemp(request.param)
    recipe = write_recipe(folder / "tiny.yaml", {"system": request.param, **RECIPE}, data=str(sweeps))
    said = command("pretrain", recipe, "--out", folder / "run")
    assert said.status == 0, said.err
    return folder / "run"


def test_recipes_are_the_defaults() -> None:
    """The published recipes write out what the configurations have as defaults."""
    made = build_recipe(find_recipe("mm3d", "voxel_mae_hess"), RECIPES["voxel_mae_hess"])
    assert made.model == HessVoxelMAEConfig()
    assert made.sweeps == dataclasses.replace(whole_sweeps(), close=2.0)
    assert build_recipe(find_recipe("mm3d", "geomae"), RECIPES["geomae"]).model == GeoMAEConfig()


@pytest.mark.parametrize("name", ["voxel_mae_hess", "voxel_mae_hess_small"])
def test_hess_recipes_decay_every_parameter(name: str) -> None:
    """As the released pretraining, which has no exceptions by name."""
    made = build_recipe(find_recipe("mm3d", name), RECIPES["voxel_mae_hess"])
    optimizer = new_optimizer(HessVoxelMAE(HessVoxelMAEConfig(decoder_depth=1)), made.optim, fused=False)
    assert [group["weight_decay"] for group in optimizer.param_groups if group["params"]] == [0.001]


def test_a_run_folder(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(np.isfinite(line["loss"]) for line in lines)
    assert {"model.json", "weights.safetensors", "config.yaml", "report.html", "reconstruction.png"} <= {
        path.name for path in trained.iterdir()
    }
    assert "to the nearest predicted" in (trained / "report.html").read_text()
    assert json.loads((trained / "environment.json").read_text())["data"]["sweeps"] == 4


def test_training_again_gives_the_same_weights(trained: Path, tmp_path: Path) -> None:
    """From the run folder as a recipe, to the same bytes; a finished run is not trained again."""
    out = tmp_path / "again"
    assert command("pretrain", trained, "--out", out).status == 0
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (trained, out)]
    assert weights[0] == weights[1]
    said = command("pretrain", out, "--resume")
    assert said.status == 0
    assert "finished" in said.out


def test_embedding_and_reconstruction(trained: Path, sweeps: Path, tmp_path: Path) -> None:
    said = command("embed", trained, sweeps, "-o", tmp_path / "x.npz")
    assert said.status == 0, said.err
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["features"].shape == (4, 32)
        assert np.isfinite(arrays["features"]).all()
    said = command("reconstruct", trained, sweeps / "1.npy", "--out", tmp_path / "look", "--mask_ratio", "0.5")
    assert said.status == 0, said.err
    assert (tmp_path / "look.png").read_bytes()[:4] == b"\x89PNG"
    assert "points shown" in (tmp_path / "look.html").read_text()
    said = command("reconstruct", trained, sweeps / "1.npy", "--mask_ratio", "1.5")
    assert said.status != 0
    assert "--mask_ratio 1.5" in said.err


def test_probing_says_the_class_of_pillars(trained: Path, tmp_path: Path) -> None:
    """A SemanticKITTI folder of the same floor and wall: four sweeps, the last of them held out."""
    draws = np.random.default_rng(1)
    for name in ("velodyne", "labels"):
        (tmp_path / name).mkdir()
    for number in range(4):
        points = draws.uniform([-8, -6, -1.6], [8, 6, -1.5], (400, 3))
        points[300:, 0], points[300:, 2] = 5.5, draws.uniform(-1.5, 1.5, 100)
        rows = np.concatenate([points, draws.random((400, 1))], 1).astype("<f4")
        rows.tofile(tmp_path / "velodyne" / f"{number}.bin")
        np.where(np.arange(400) < 300, 40, 50).astype("<u4").tofile(tmp_path / "labels" / f"{number}.label")
    said = command("probe", trained, "--data", tmp_path, "--seeds", 2, "--out", tmp_path / "probe.json")
    assert said.status == 0, said.err
    assert "features of a pillar" in said.out
    found = json.loads((tmp_path / "probe.json").read_text())
    assert found["pillars"] > 50
    assert [row["features"] for row in found["results"]] == ["pretrained", "untrained", "position and intensity alone"]
    assert found["results"][0]["accuracy"] > 0.8  # walls are where columns are high


def test_pillars_of_a_sweep_as_cells(sweeps: Path) -> None:
    encoder = HessVoxelMAEConfig().encoder
    points = torch.from_numpy(np.load(sweeps / "0.npy"))
    cells = pillar_cells(points, whole_sweeps(), encoder)
    assert int((cells.cell_of >= 0).sum()) == len(points)
    for cell in (0, len(cells.means) // 2, len(cells.means) - 1):
        torch.testing.assert_close(cells.means[cell], points[cells.cell_of == cell].mean(0))
    own = Pillars(cells.batch, encoder.grid)
    assert torch.equal(own.counts, torch.bincount(cells.cell_of))


def test_bad_sweeps_are_named(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.bin").write_bytes(b"\0" * 33)
    np.save(tmp_path / "far.npy", np.full((50, 4), 900.0, np.float32))
    said = command("embed", trained, tmp_path / "cut.bin", "-o", tmp_path / "x.npz")
    assert said.status != 0
    assert "cut.bin" in said.err
    assert "33 bytes" in said.err
    said = command("embed", trained, tmp_path / "far.npy", "-o", tmp_path / "x.npz")
    assert said.status != 0
    assert "far.npy" in said.err
    assert "expected at least 20" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(("key", "value", "said"), [
    ("model.mask_ratio", "1", "mask_ratio"), ("model.encoder.dim", "18", "dim"), ("model.encoder.features", "5", "features"),
    ("model.encoder.window", "0", "window"), ("data", "nowhere", "no such file or folder"),
])  # fmt: skip
def test_bad_settings_are_named(key: str, value: str, said: str, sweeps: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "tiny.yaml", {"system": "geomae", **RECIPE}, data=str(sweeps))
    answer = command("pretrain", recipe, "--out", tmp_path / "run", f"--{key}", value)
    assert answer.status != 0
    assert said in answer.err
    assert not (tmp_path / "run").exists()


def test_samples(sweeps: Path) -> None:
    config = whole_sweeps()
    grid = PillarGridConfig((-8.0, -6.0, -2.0), (8.0, 6.0, 2.0), (1.0, 1.0, 4.0))
    data = PillarSamples(find_sweeps(str(sweeps), config), config, grid, features=3)
    whole, sample = data.whole(0), data.sample(0, generator(0))
    assert whole.points.shape[1] == 3
    assert torch.equal(data.sample(0, generator(0)).points, sample.points)
    assert not torch.equal(data.sample(0, generator(1)).points, sample.points)
    batch = data.collate([whole, sample])
    assert batch.offsets.tolist() == [0, len(whole.indices), len(whole.indices) + len(sample.indices)]
    pillars = Pillars(batch, grid)
    assert pillars.within.abs().max() <= 1 + 1e-5
    assert (pillars.indices[1:, 1] == 0).all()
