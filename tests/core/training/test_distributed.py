"""Two processes compute what one computes on the whole batch; sharded training trains, saves and resumes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import Tiny, determined_weights, losses, recipe, started, train

from core.training.checkpoint import checkpoints

QUIET: dict[str, Any] = {
    "model": {"drop_path": 0.0},
    "train": {"epochs": 2},
}  # dropout differs between processes


def run_in_processes(folder: Path, **sections: Any) -> None:
    process = started(folder, **sections)
    try:
        _, errors = process.communicate("\n", timeout=150)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Warning: torch.distributed" not in errors


def assert_close(folder: Path, expected: Path, rel: float = 1e-5) -> None:
    ours, theirs = losses(folder), losses(expected)
    assert [step for step, _ in ours] == [step for step, _ in theirs]
    assert [loss for _, loss in ours] == pytest.approx([loss for _, loss in theirs], rel=rel)
    a, b = (determined_weights(f) for f in (folder, expected))
    assert a.keys() == b.keys()
    for name, tensor in b.items():
        both = a[name].isfinite() & tensor.isfinite()
        distance = (a[name] - tensor)[both].double().norm() / tensor[both].double().norm().clamp(min=1e-3)
        assert distance < 10 * rel, name


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("single") / "run"
    torch.set_num_threads(1)
    train(folder, recipe(**QUIET))
    return folder


def test_two_processes_are_one_with_the_whole_batch(tmp_path: Path, single: Path) -> None:
    """Loss, weights and the statistics of batch norm; and a checkpoint of two goes on in two or in one."""
    two, one = tmp_path / "two", tmp_path / "one"
    run_in_processes(two, **QUIET, run={"devices": 2})
    assert_close(two, single)
    before = load_file(two / "weights.safetensors")
    shutil.rmtree(checkpoints(two / "state")[-1])
    shutil.copytree(two, one)
    run_in_processes(two, **QUIET, run={"devices": 2})
    assert_close(two, single)
    after = load_file(two / "weights.safetensors")
    assert all(torch.equal(after[name], before[name]) for name in before)
    result = train(one, recipe(**QUIET), resume=True)
    assert result.steps_now == 2
    assert_close(one, single)


def test_point_mae_in_two_processes(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"system": "point_mae", "train": {"epochs": 2}, "optim": {"lr": 1e-3}}
    train(tmp_path / "one", recipe(**settings))
    run_in_processes(tmp_path / "two", **settings, run={"devices": 2})
    assert len(losses(tmp_path / "two")) == 4
    assert_close(tmp_path / "two", tmp_path / "one")


def test_sharded_processes_train_save_and_resume(tmp_path: Path) -> None:
    clipped: dict[str, Any] = {**QUIET, "optim": {"clip_norm": 0.3}}
    sharded, single = tmp_path / "sharded", tmp_path / "single"
    train(single, recipe(**clipped))
    run_in_processes(sharded, **clipped, run={"devices": 2, "strategy": "fsdp"})
    assert_close(sharded, single)
    newest = checkpoints(sharded / "state")[-1]
    state = load_file(newest / "state.safetensors")
    assert state["model/encoder.transformer.blocks.0.attn.qkv.weight"].shape == (24, 8)  # whole, not a shard
    assert state["optimizer/encoder.transformer.blocks.0.attn.qkv.weight/exp_avg"].shape == (24, 8)
    before = load_file(sharded / "weights.safetensors")
    shutil.rmtree(newest)
    run_in_processes(sharded, **clipped, run={"devices": 2, "strategy": "fsdp"})
    after = load_file(sharded / "weights.safetensors")
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert set(Tiny.from_pretrained(sharded).state_dict()) == set(after)  # known by the name of its own class


def test_errors_of_the_main_process_stop_all(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("")
    process = started(tmp_path / "run", run={"devices": 2})
    try:
        _, errors = process.communicate("\n", timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "exists and is not empty" in errors
