"""The command line in this process, and tiny data and recipes to use it on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from one_command import Said, command_of, write_recipe

from mm3d.cli import ABOUT, COMMANDS

SHAPES = ("ball", "box", "stick")
RECIPE = {
    "system": "point_mae",
    "points": {"count": 64},
    "model": {
        "encoder": {"groups": 8, "group_size": 8, "dim": 24, "depth": 2, "heads": 3},
        "decoder_depth": 1,
        "decoder_heads": 3,
    },
    "optim": {"warmup_epochs": 0.5},
    "train": {"epochs": 1, "batch_size": 4},
    "run": {"accelerator": "cpu", "log_steps": 1},
}
TASK = {
    "points": {"count": 64},
    "groups": 8,
    "group_size": 8,
    "layers": [0, 1],
    "validation": 0.3,
    "optim": {"lr": 0.002, "warmup_epochs": 0},
    "train": {"epochs": 1, "batch_size": 4},
    "run": {"accelerator": "cpu", "log_steps": 1},
}


command = command_of("mm3d", ABOUT, COMMANDS)
"""Runs ``mm3d WORDS`` in this process."""


def shape(kind: str, generator: np.random.Generator, count: int = 90) -> np.ndarray:
    """A cloud of a kind that is told from the others at a glance: (count, 3) float32."""
    points = generator.normal(size=(count, 3))
    if kind == "ball":
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    elif kind == "box":
        points = generator.uniform(-1, 1, (count, 3))
    else:
        points *= (0.02, 1, 0.02)
    return points.astype(np.float32)


def write_clouds(root: Path, train: int = 8, test: int = 4) -> Path:
    """Files ``root/SPLIT/CLASS/NUMBER.npy`` of three classes."""
    generator = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        for kind in SHAPES:
            (root / split / kind).mkdir(parents=True)
            for number in range(count):
                np.save(root / split / kind / f"{number}.npy", shape(kind, generator))
    return root


__all__ = ["Said", "write_recipe"]
