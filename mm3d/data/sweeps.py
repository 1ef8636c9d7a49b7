"""Sets of LiDAR sweeps, read when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.config import did_you_mean
from core.errors import UserError
from mm3d.config.voxels import GridConfig, SweepsConfig
from mm3d.data.clouds import collect
from mm3d.data.street import SWEEPS, street_sweep
from mm3d.data.sweep_files import CLOUD_SUFFIXES, frame_names, read_frame, read_sweep
from mm3d.ops.voxelize import Voxelized, voxelize

SWEEP_LAYOUTS = {
    "street": "LiDAR sweeps that are generated, for voxel_mae; needs no path",
    "SWEEPS": "for voxel_mae, without a word before it: KITTI, SemanticKITTI, nuScenes, a folder of sweeps, or an .npz",
}


@dataclass(frozen=True)
class Sweeps:
    """Names of M sweeps, and functions that read them, each giving (N, 4) float32: x, y, z, intensity."""

    names: tuple[str, ...]
    readers: tuple[Callable[[], np.ndarray], ...]
    skipped: tuple[tuple[str, str], ...] = ()  # (item, reason) of what could not be used
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def points(self, index: int) -> torch.Tensor:
        """Sweep ``index``: (N, 4) float32, a copy."""
        return torch.from_numpy(np.array(self.readers[index]()))


def find_sweeps(source: str, config: SweepsConfig) -> Sweeps:
    """The sweeps that a word of the command line names; nothing is read yet, except the lists inside npz files.

    ``street`` is the generated set. A path is one file, or a folder searched through: where it has folders called
    ``velodyne`` (KITTI, SemanticKITTI) those alone, where it has ``LIDAR_TOP`` (nuScenes) those alone, else every .bin,
    .pcd, .ply and .npy in it. Several words with commas are put together. Points within ``config.close`` are left out.

    Raises:
        UserError: a path that does not exist, or names no sweep.
    """
    parts = [_named(word.strip(), config) for word in source.split(",") if word.strip()]
    if not parts:
        raise UserError("data: nothing given; expected street, a folder of sweeps or a file")
    names, readers = zip(*[entry for part in parts for entry in part], strict=True)
    return Sweeps(names, tuple(partial(_not_close, reader, config.close) for reader in readers))


def _not_close(read: Callable[[], np.ndarray], close: float) -> np.ndarray:
    points = read()
    return points[is_far(points, close)]


def is_far(points: np.ndarray, close: float) -> np.ndarray:
    """(N,) bool: which points (N, 3 or more), in the frame of the sensor, are not within the square of ``|x|, |y| < close``."""
    return ~(np.abs(points[:, :2]) < close).all(axis=1)


def _named(word: str, config: SweepsConfig) -> list[tuple[str, Callable[[], np.ndarray]]]:
    if word == "street":
        return [(f"street {seed} (generated)", partial(generated, seed)) for seed in range(SWEEPS)]
    path = Path(word)
    if path.suffix == ".npz" and path.is_file():
        return [(f"{path}: {name}", partial(read_frame, path, name)) for name in frame_names(path)]
    if path.is_dir():
        files = sweep_files(path)
        if not files:
            raise UserError(f"{path}: no sweeps in this folder; expected .bin, {', '.join(CLOUD_SUFFIXES)}")
    elif path.is_file():
        files = [path]
    else:
        raise UserError(f"data {word!r}: no such file or folder{did_you_mean(word, ['street'])}")
    return [(str(file), partial(read_sweep, file, config.columns)) for file in files]


def generated(seed: int) -> np.ndarray:
    """The points of a generated sweep."""
    return street_sweep(seed)[0]


def sweep_files(root: Path) -> list[Path]:
    """The files of a folder that hold sweeps, sorted by path."""
    found = sorted(
        path for path in root.rglob("*")
        if path.suffix.lower() in (".bin", *CLOUD_SUFFIXES) and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )  # fmt: skip
    for name in ("velodyne", "LIDAR_TOP"):
        inside = [path for path in found if name in path.parts]
        if inside:
            return inside
    return found


def usable(sweeps: Sweeps, config: SweepsConfig, grid: GridConfig) -> Sweeps:
    """The sweeps that can be trained on: readable, with enough voxels in range. Reads every sweep once.

    Raises:
        UserError: the first that cannot be used, or with ``on_error: skip`` that none can.
    """
    digest = hashlib.sha256()

    def look(index: int) -> None:
        points = sweeps.points(index)
        check_range(points, sweeps.names[index], config, grid)
        digest.update(points.numpy()[:: max(1, len(points) // 512)].tobytes())

    where = sweeps.names[0] if len(sweeps) == 1 else f"{sweeps.names[0]} and {len(sweeps) - 1} other sweeps"
    _, kept, skipped = collect(where, sweeps.names, look, config.on_error)
    return replace(
        sweeps,
        names=tuple(sweeps.names[i] for i in kept),
        readers=tuple(sweeps.readers[i] for i in kept),
        skipped=(*sweeps.skipped, *skipped),
        fingerprint=digest.hexdigest()[:16],
    )


def check_range(points: torch.Tensor, name: str, config: SweepsConfig, grid: GridConfig) -> None:
    """See that a sweep has enough voxels in range.

    Raises:
        UserError: it has fewer, naming it.
    """
    count = len(in_grid(points, config, grid).indices)
    if count < config.minimum:
        raise UserError(
            f"{name}: {count} voxels in the range {list(grid.low)} to {list(grid.high)}; "
            f"expected at least {config.minimum} (sweeps.minimum)"
        )


def in_grid(points: torch.Tensor, config: SweepsConfig, grid: GridConfig, max_voxels: int | None = None) -> Voxelized:
    """A sweep's voxels, with the points a voxel that the configuration allows."""
    return voxelize(points, grid.low, grid.voxel_size, grid.shape, config.max_points or None, max_voxels)


def sweeps_of_files(words: Sequence[str], config: SweepsConfig, grid: GridConfig) -> Sweeps:
    """The sweeps that several words name, those that can be used.

    Raises:
        UserError: words that name no sweep; one that cannot be used, or with ``on_error: skip`` none that can.
    """
    found = [find_sweeps(word, config) for word in words]
    names = tuple(name for part in found for name in part.names)
    readers = tuple(reader for part in found for reader in part.readers)
    return usable(Sweeps(names, readers), config, grid)


def describe_sweeps(sweeps: Sweeps, source: str) -> dict[str, Any]:
    """What a run folder says of its data."""
    return {"data": {
        "source": source,
        "sweeps": len(sweeps),
        "fingerprint": sweeps.fingerprint,
        "skipped": [f"{item}: {reason}" for item, reason in sweeps.skipped],
    }}  # fmt: skip
