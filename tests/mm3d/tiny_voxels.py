"""Tiny models and labelled sweeps for tests of fine-tuning on classes of voxels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mm3d.config.voxels import GridConfig, RangeMaskConfig, VoxelEncoderConfig, VoxelMAEConfig
from mm3d.data.labelled_sweeps import LabelledSweep
from mm3d.data.street import street_sweep

GRID = GridConfig((-16.0, -16.0, -3.0), (16.0, 16.0, 5.0), (1.0, 1.0, 0.2))
ENCODER = VoxelEncoderConfig(GRID, channels=(4, 4, 8, 8), out_channels=8)
MODEL = VoxelMAEConfig(ENCODER, (8, 4), RangeMaskConfig((6.0, 12.0)))
RAW = np.array([40, 50, 10, 80, 71, 70, 30], "<u4")
"""SemanticKITTI's numbers for the classes of generated streets."""
TASK = {
    "task": "voxels",
    "sweeps": {"max_points": 0, "max_voxels": 0, "minimum": 50, "rotation": 3.141593},
    "optim": {"lr": 0.01, "warmup_epochs": 0},
    "train": {"epochs": 3, "batch_size": 2, "last_batch": "keep"},
    "run": {"accelerator": "cpu", "log_steps": 1, "save_steps": 1},
}


def streets(count: int) -> list[LabelledSweep]:
    """Generated sweeps."""
    return [LabelledSweep(f"street {seed}", *street_sweep(seed)) for seed in range(count)]


def write_sweeps(root: Path, count: int, relabel: dict[int, np.ndarray] | None = None) -> Path:
    """A SemanticKITTI folder of generated sweeps; ``relabel`` gives some sweeps other raw numbers for their classes."""
    (root / "velodyne").mkdir(parents=True)
    (root / "labels").mkdir()
    for seed in range(count):
        points, kinds = street_sweep(seed)
        points.tofile(root / "velodyne" / f"{seed:06d}.bin")
        (relabel or {}).get(seed, RAW)[kinds].astype("<u4").tofile(root / "labels" / f"{seed:06d}.label")
    return root
