"""Sweeps with a class for every point: SemanticKITTI folders, npz frames, and the generated streets."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.errors import UserError
from mm3d.config.voxels import SweepsConfig
from mm3d.data.street import CLASSES, SWEEPS, street_sweep
from mm3d.data.sweep_files import finite, frame_names, read_labels, read_sweep
from mm3d.data.sweeps import sweep_files

MOST = 64  # sweeps of a folder
NAMES = (
    "car", "bicycle", "motorcycle", "truck", "other-vehicle", "person", "bicyclist", "motorcyclist", "road", "parking",
    "sidewalk", "other-ground", "building", "fence", "vegetation", "trunk", "terrain", "pole", "traffic-sign",
)  # fmt: skip
RAW = {  # the benchmark's 19 classes; raw labels that are not here count as unlabelled
    10: 0, 11: 1, 13: 4, 15: 2, 16: 4, 18: 3, 20: 4, 30: 5, 31: 6, 32: 7, 40: 8, 44: 9, 48: 10, 49: 11, 50: 12, 51: 13,
    60: 8, 70: 14, 71: 15, 72: 16, 80: 17, 81: 18, 252: 0, 253: 6, 254: 5, 255: 7, 256: 4, 257: 4, 258: 3, 259: 4,
}  # fmt: skip


class LabelledSweep(NamedTuple):
    """Points (N, 4) float32 and the class of each (N,) int64, -1 for none."""

    name: str
    points: np.ndarray
    labels: np.ndarray


def labelled_sweeps(source: str, config: SweepsConfig) -> tuple[list[LabelledSweep], tuple[str, ...]]:
    """Labelled sweeps of a word of the command line, and the names of their classes.

    ``street``: the generated sweeps. A folder: SemanticKITTI, ``velodyne/N.bin`` beside ``labels/N.label``; of more than
    64 sweeps, 64 evenly spread. An npz: arrays ``NAME_points`` with ``NAME_label`` in SemanticKITTI's numbers.

    Raises:
        UserError: nothing labelled there, or labels that do not fit.
    """
    if source == "street":
        made = [(seed, *street_sweep(seed)) for seed in range(SWEEPS)]
        return [LabelledSweep(f"street {seed} (generated)", points, kinds) for seed, points, kinds in made], CLASSES
    path = Path(source)
    if path.suffix == ".npz" and path.is_file():
        found = _frames(path)
    elif path.is_dir():
        files = [file for file in sweep_files(path) if label_file(file).is_file()]
        chosen = np.unique(np.linspace(0, len(files) - 1, min(MOST, len(files))).astype(int))
        found = [_of_folder(files[i], config) for i in chosen]
    else:
        raise UserError(f"data {source!r}: no such folder or .npz file; expected labelled sweeps, or street")
    if not found:
        raise UserError(
            f"{path}: no labelled sweeps; expected velodyne/N.bin with labels/N.label, or NAME_label arrays"
        )
    return found, NAMES


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


def _frames(path: Path) -> list[LabelledSweep]:
    names = frame_names(path)
    found = []
    with np.load(path, allow_pickle=False) as arrays:
        for name in names:
            labels = name.removesuffix("points") + "label"
            if labels in arrays.files:
                points = finite(arrays[name], f"{path}: {name}")
                if len(points) != len(arrays[labels]):
                    raise UserError(f"{path}: {len(arrays[labels])} of {labels} for {len(points)} finite points")
                found.append(LabelledSweep(name, points, benchmark_classes(arrays[labels].astype(np.int64))))
    return found


def _of_folder(file: Path, config: SweepsConfig) -> LabelledSweep:
    points = read_sweep(file, config.columns)
    count = file.stat().st_size // (4 * (config.columns or 4)) if file.suffix == ".bin" else len(points)
    if count != len(points):
        raise UserError(
            f"{file}: {count - len(points)} of {count} points are not finite, so labels cannot be told apart"
        )
    return LabelledSweep(str(file), points, benchmark_classes(read_labels(label_file(file), count)))
