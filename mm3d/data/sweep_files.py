"""One LiDAR sweep of a file: KITTI and SemanticKITTI, nuScenes, PCD, PLY and other point files, arrays of an npz."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from core.errors import UserError
from mm3d.data.files import PARSE_ERRORS
from mm3d.data.formats import READERS

CLOUD_SUFFIXES = (".pcd", ".ply", ".npy")


def read_sweep(path: Path, columns: Literal[0, 4, 5] = 0) -> np.ndarray:
    """A sweep as (N, 4) float32: x, y, z in metres and intensity in [0, 1]; what is not finite is left out.

    ``.bin``: float32 without header. With 4 columns (KITTI, SemanticKITTI) as it is; with 5 (nuScenes: intensity to 255,
    then the ring) the intensity is divided by 255 and the ring dropped. PCD, PLY and NPY: coordinates alone give
    intensity 0; an NPY with four columns or more has it in the fourth.

    Args:
        columns: of a .bin file; 0 takes 5 for names that end in ``.pcd.bin`` and 4 for others.

    Raises:
        UserError: missing, empty, truncated, of another format, or without a finite point.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not data:
        raise UserError(f"{path}: the file is empty")
    if path.suffix.lower() == ".bin":
        return finite(_from_bin(data, columns or (5 if path.name.endswith(".pcd.bin") else 4), path), str(path))
    if path.suffix.lower() not in CLOUD_SUFFIXES:
        raise UserError(f"{path}: not a sweep; expected .bin, {', '.join(CLOUD_SUFFIXES)}")
    try:
        points = _npy(data) if path.suffix.lower() == ".npy" else READERS[path.suffix.lower()](data)[0]
    except PARSE_ERRORS as error:
        raise UserError(f"{path}: {' '.join(str(error).split()) or type(error).__name__}") from error
    return finite(points, str(path))


def _from_bin(data: bytes, columns: int, path: Path) -> np.ndarray:
    if len(data) % (4 * columns):
        raise UserError(
            f"{path}: {len(data)} bytes are no whole number of points of {columns} float32 values; truncated, or a file "
            "with other columns (sweeps.columns names them)"
        )
    rows = np.frombuffer(data, "<f4").reshape(-1, columns)
    return rows if columns == 4 else rows[:, :4] / np.array([1, 1, 1, 255], np.float32)


def _npy(data: bytes) -> np.ndarray:
    import io

    rows = np.load(io.BytesIO(data), allow_pickle=False)
    if rows.ndim != 2 or rows.shape[1] < 3 or rows.dtype.kind not in "fiu":
        raise ValueError(f"an array {rows.shape} of {rows.dtype}; expected numbers (N, 3) or (N, 4)")
    return rows


def finite(points: np.ndarray, name: str) -> np.ndarray:
    """The points with finite values as (N, 4) float32; zeros for an intensity that is not there.

    Raises:
        UserError: none is finite, or there are none.
    """
    with np.errstate(over="ignore"):
        rows = np.asarray(points[:, :4], dtype=np.float32)
    if rows.shape[1] == 3:
        rows = np.concatenate([rows, np.zeros((len(rows), 1), np.float32)], axis=1)
    kept = rows[np.isfinite(rows).all(axis=1)]
    if len(kept) == 0:
        raise UserError(f"{name}: " + ("all values are NaN or infinite" if len(rows) else "no points"))
    return kept


def read_frame(path: Path, name: str) -> np.ndarray:
    """The array ``name`` of an npz as a sweep, as :func:`read_sweep`; values of intensity above 1 are taken to reach 255."""
    with np.load(path, allow_pickle=False) as arrays:
        points = arrays[name]
    if points.ndim != 2 or points.shape[1] < 3:
        raise UserError(f"{path}: {name} is {points.shape}; expected (N, 3) or more columns")
    rows = finite(points, f"{path}: {name}")
    return rows / np.array([1, 1, 1, 255], np.float32) if rows[:, 3].max() > 1 else rows


def frame_names(path: Path) -> list[str]:
    """Names of the sweeps in an npz: arrays called ``*_points``.

    Raises:
        UserError: not an npz, or one without such arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = [name for name in arrays.files if name.endswith("_points")]
    except (*PARSE_ERRORS, OSError) as error:
        raise UserError(f"{path}: not readable as an npz ({type(error).__name__})") from error
    if not names:
        raise UserError(f"{path}: holds no sweeps; expected arrays named *_points")
    return names


def read_labels(path: Path, count: int) -> np.ndarray:
    """Classes of a SemanticKITTI ``.label`` file, (count,) int64: the lower 16 bits; the upper ones number instances.

    Raises:
        UserError: missing, or not a label for each of ``count`` points.
    """
    try:
        labels = np.fromfile(path, "<u4")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if len(labels) != count or path.stat().st_size != 4 * count:
        raise UserError(f"{path}: {path.stat().st_size} bytes; expected 4 for each of {count} points")
    return (labels & 0xFFFF).astype(np.int64)
