"""The command line in this process, and tiny data and recipes to use it on."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from core.cli.app import run
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


class Said(NamedTuple):
    """Exit status of a command, and what it wrote to standard output and standard error."""

    status: int
    out: str
    err: str


def command(*words: object) -> Said:
    """Run ``mm3d WORDS`` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = run("mm3d", ABOUT, COMMANDS, [str(word) for word in words])
        except SystemExit as left:  # --help
            status = int(left.code or 0)
    return Said(status, out.getvalue(), err.getvalue())


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


def write_recipe(path: Path, values: dict, **sections: object) -> Path:
    """A recipe file with some settings changed: ``write_recipe(path, RECIPE, train={"epochs": 2})``."""
    merged = dict(values)
    for name, section in sections.items():
        merged[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
    path.write_text("# A test\n" + yaml.safe_dump(merged))
    return path
