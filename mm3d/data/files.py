"""One file -> one cloud: points are returned as they are, meshes are sampled by area."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from core.errors import UserError
from mm3d.data.formats import READERS

SUFFIXES = tuple(READERS)
STEP = 1e-5  # float32 may round by this share of a cloud's longest side
PARSE_ERRORS = (  # what numpy and the readers raise on damaged bytes
    ValueError, IndexError, KeyError, TypeError, EOFError, OverflowError, NotImplementedError, SyntaxError,
    MemoryError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_points(path: str | Path, num_points: int = 2048, seed: int = 0, minimum: int = 1) -> np.ndarray:
    """The points of ``path``, (N, 3) float32, in the file's own units; far from the origin, moved (``as_float32``).

    A mesh gives ``num_points`` points, uniform over its surface, drawn from ``seed`` alone: a file's sample
    does not depend on its neighbours. A file of points gives all of them in its order. Known: PLY, OBJ,
    STL, OFF, PCD, XYZ/TXT/PTS/CSV, NPY, NPZ, GLB. Raises UserError, one line that names the file, if it is
    missing, empty, truncated, not three-dimensional, unparsable, of an unknown suffix, has NaN or infinite
    coordinates, fewer than ``minimum`` points, only equal points, or no area.
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        vertices, faces = READERS[path.suffix.lower()](data)
        if faces is not None and len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise ValueError(f"a face refers to vertex {faces.max()} of {len(vertices)}; truncated or damaged")
    except PARSE_ERRORS as error:
        raise UserError(f"{path}: {' '.join(str(error).split()) or type(error).__name__}") from error
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, and is refused as such
        finite = np.isfinite(vertices.astype(np.float32)).all(axis=1)
    if not finite.all():
        raise UserError(f"{path}: {(~finite).sum()} of {len(vertices)} points have NaN or infinite coordinates")
    if faces is not None:
        try:
            vertices = sample_surface(vertices, faces, num_points, np.random.default_rng(seed))
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
    points = as_float32(vertices)
    check_points(str(path), points, minimum)
    return points


def as_float32(points: np.ndarray) -> np.ndarray:
    """(N, 3) floats as float32; a cloud that float32 would visibly quantise is moved to the origin before.

    Map coordinates such as (500000, 4649776) with an extent of 10 would be rounded to steps of 0.5. Where the step of
    float32 at the largest coordinate is more than 1e-5 of the longest side, and rounding changes anything, the middle
    of the bounding box is subtracted first, in float64. All other clouds keep their place, bit by bit. Coordinates
    that are not finite stay so.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused by ``check_points``
        rounded = points.astype(np.float32)
        if len(points) == 0 or not np.isfinite(rounded).all() or (rounded == points).all():
            return rounded
        low, high = points.min(axis=0), points.max(axis=0)
        if np.spacing(np.abs(rounded).max()) <= STEP * (high - low).max():
            return rounded
        return (points - (low + high) / 2).astype(np.float32)


def check_points(name: str, points: np.ndarray, minimum: int = 1) -> None:
    """UserError, naming ``name``, if (N, 3) points are fewer than ``minimum``, not finite, or all equal."""
    if len(points) < max(minimum, 1):
        raise UserError(f"{name}: {len(points)} points; expected at least {max(minimum, 1)}")
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        raise UserError(f"{name}: {(~finite).sum()} of {len(points)} points have NaN or infinite coordinates")
    if (points == points[0]).all():
        raise UserError(f"{name}: all {len(points)} points are equal; expected a shape")


def sample_surface(vertices: np.ndarray, faces: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """(V, 3) vertices, (F, 3) triangles -> (count, 3) float64 points, uniform over the area.

    Osada et al., "Shape distributions" (2002), Section 4.1: triangle by area, point by the square root of one
    uniform number. ValueError for a mesh of zero area.
    """
    if count < 1:
        raise ValueError(f"num_points is {count}; expected at least 1")
    corners = vertices[faces]  # (F, 3, 3)
    edges = corners[:, 1:] - corners[:, :1]
    cumulative = np.cumsum(np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)) if len(faces) else np.zeros(1)
    if not cumulative[-1] > 0:
        raise ValueError(f"mesh of {len(faces)} faces has zero area; expected a surface")
    # side="right" never picks a face of no area, u < 1 never runs past the last one
    chosen = np.searchsorted(cumulative, generator.random(count) * cumulative[-1], side="right")
    chosen = np.minimum(chosen, len(faces) - 1)
    root, along = np.sqrt(generator.random((count, 1))), generator.random((count, 1))
    return corners[chosen, 0] + root * ((1 - along) * edges[chosen, 0] + along * edges[chosen, 1])


def _read_bytes(path: Path) -> bytes:
    if path.suffix.lower() not in READERS:
        raise UserError(f"{path}: unknown suffix {path.suffix or '(none)'}; expected one of {', '.join(SUFFIXES)}")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not data:
        raise UserError(f"{path}: the file is empty")
    return data
