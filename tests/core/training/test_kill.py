"""A training that is killed again and again ends as one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from tiny_training import losses, recipe, started, train

from core.training.checkpoint import checkpoints

KILLS = 7
SETTINGS = {"train": {"epochs": 60}, "run": {"save_steps": 1}}  # 360 steps: it is nearly always writing


def step_of(folder: Path) -> int:
    found = checkpoints(folder / "state")
    return int(found[-1].name.removeprefix("step-")) if found else 0


def test_sigkill_at_random_moments(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    draw = random.Random(0)
    processes = [started(killed, **SETTINGS) for _ in range(KILLS + 1)]  # they import while the others train
    try:
        train(whole, recipe(**SETTINGS))
        reached = [0]
        for number, process in enumerate(processes[:-1]):
            until = time.monotonic() + 60
            print(file=process.stdin, flush=True)
            # The first is killed while it opens the folder, the others after some steps of their own.
            while time.monotonic() < until and process.poll() is None:
                if killed.exists() if number == 0 else step_of(killed) > reached[-1]:
                    break
                time.sleep(0.0005)
            time.sleep(draw.uniform(0, 0.002 if number == 0 else 0.1))
            os.killpg(process.pid, signal.SIGKILL)
            _, errors = process.communicate(timeout=60)
            assert process.returncode == -signal.SIGKILL, errors
            reached.append(step_of(killed))
            for checkpoint in checkpoints(killed / "state")[-1:]:
                load_file(checkpoint / "state.safetensors")
        assert len(set(reached)) >= KILLS, f"the kills came at steps {reached}"
        assert reached == sorted(reached)
        assert reached[-1] < 360, "the last one must have something left to do"
        print(file=processes[-1].stdin, flush=True)
        _, errors = processes[-1].communicate(timeout=120)
        assert processes[-1].returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert losses(killed) == losses(whole)
    assert len(losses(killed)) == 360
    ours, theirs = (load_file(f / "weights.safetensors") for f in (killed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert ours.keys() == theirs.keys()
