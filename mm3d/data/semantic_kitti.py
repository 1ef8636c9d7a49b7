"""Classes of points as SemanticKITTI keeps them: labels/N.label beside velodyne/N.bin."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import UserError
from mm3d.data.sweep_files import read_labels

NAMES = (
    "car", "bicycle", "motorcycle", "truck", "other-vehicle", "person", "bicyclist", "motorcyclist", "road", "parking",
    "sidewalk", "other-ground", "building", "fence", "vegetation", "trunk", "terrain", "pole", "traffic-sign",
)  # fmt: skip
RAW = {  # the benchmark's 19 classes; raw labels that are not here count as unlabelled
    10: 0, 11: 1, 13: 4, 15: 2, 16: 4, 18: 3, 20: 4, 30: 5, 31: 6, 32: 7, 40: 8, 44: 9, 48: 10, 49: 11, 50: 12, 51: 13,
    60: 8, 70: 14, 71: 15, 72: 16, 80: 17, 81: 18, 252: 0, 253: 6, 254: 5, 255: 7, 256: 4, 257: 4, 258: 3, 259: 4,
}  # fmt: skip


def label_file(sweep: Path) -> Path:
    """Where SemanticKITTI keeps the labels of a sweep."""
    return sweep.parent.parent / "labels" / f"{sweep.stem}.label"


def benchmark_classes(raw: np.ndarray) -> np.ndarray:
    """Raw labels of SemanticKITTI as its 19 classes, -1 for those that are not scored.

    Source: Behley et al., "SemanticKITTI", ICCV 2019, and the learning map of its official configuration.
    """
    table = np.full(1 << 16, -1, dtype=np.int64)
    table[list(RAW)] = list(RAW.values())
    return table[raw & 0xFFFF]


def point_classes(sweep: Path, points: np.ndarray, columns: int = 0) -> np.ndarray:
    """The class of each finite point of a sweep's file: (N,) int64 for ``points`` (N, 4), -1 for what is not scored.

    Args:
        columns: float32 values a point in a .bin file, 0 for four.

    Raises:
        UserError: labels that do not fit, or points left out because they are not finite.
    """
    count = sweep.stat().st_size // (4 * (columns or 4)) if sweep.suffix == ".bin" else len(points)
    if count != len(points):
        raise UserError(
            f"{sweep}: {count - len(points)} of {count} points are not finite, so labels cannot be told apart"
        )
    return benchmark_classes(read_labels(label_file(sweep), count))
