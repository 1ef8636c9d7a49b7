"""Data sets in one .npz: clouds of equal size, and occupancy grids."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import UserError
from mm3d.data.cache import cached
from mm3d.data.clouds import OnError, PointClouds, collect, pack
from mm3d.data.files import PARSE_ERRORS, as_float32, check_points
from mm3d.data.layouts import NoSplit, check_split

MOST_CLASSES = 100_000  # that are named by their numbers
SPLIT_CODES = {"train": 0, "test": 1, "val": 2}


def point_arrays(
    path: str | Path,
    split: str | None = None,
    label: str = "label",
    classes: str = "classes",
    on_error: OnError = "stop",
    cache_dir: str | Path | None = None,
) -> PointClouds:
    """A .npz with ``points`` (M, N, 3) and, where they are there, labels, names, split and point labels.

    Arrays: ``label`` (M,) integer, -1 = none, with ``classes`` (default: the numbers from 0 to the largest
    label); ``name`` (M,); ``split`` (M,) 0 train, 1 test, 2 val, -1 = none of them (without it all are train);
    ``seg`` (M, N) integer part of each point, -1 = none, with ``seg_classes`` (default: numbers, too).
    ``label`` and ``classes`` name other arrays to take instead ("shape_label", "shape_classes").
    ``split=None`` is everything. float16 stays float16, others become float32 (``as_float32``). Raises
    UserError for a missing or damaged file, arrays that do not fit together, labels outside the classes, other
    split codes, and for a bad cloud unless ``on_error="skip"`` lists it in ``.skipped``; NoSplit for a split
    that is not in the file.
    """
    path = Path(path)
    check_split(split or "train", tuple(SPLIT_CODES), str(path))

    def build() -> PointClouds:
        arrays = read_npz_arrays(path, ("points", label, classes, "name", "split", "seg", "seg_classes"))
        return _from_arrays(str(path), arrays, split, label, classes, on_error)

    parameters: dict[str, object] = {"split": split, "label": label, "classes": classes, "on_error": on_error}
    return cached("arrays", [path], parameters, build, cache_dir)


def _from_arrays(
    where: str, arrays: dict[str, np.ndarray], split: str | None, label: str, classes: str, on_error: OnError
) -> PointClouds:
    if "points" not in arrays:
        raise UserError(f"{where}: no array 'points'; expected (M, N, 3)")
    points = arrays["points"]
    count = len(points) if points.ndim else 0
    if points.ndim != 3 or points.shape[2] != 3 or points.dtype.kind != "f":
        raise UserError(f"{where}: points are {points.dtype} {points.shape}; expected floats (M, N, 3)")
    expected = {label: (count,), "name": (count,), "split": (count,), "seg": points.shape[:2]}
    for key, shape in expected.items():
        if key in arrays and arrays[key].shape != shape:
            raise UserError(f"{where}: {key} is {arrays[key].shape}; expected {shape}, as points are {points.shape}")
    chosen = np.arange(count)
    codes = arrays.get("split", np.zeros(count, np.int64))
    if (unknown := codes[~np.isin(codes, [-1, *SPLIT_CODES.values()])]).size:
        raise UserError(f"{where}: split has the code {unknown[0]}; expected 0 train, 1 test, 2 val, or -1 none")
    if split is not None:
        if "split" not in arrays and split != "train":
            raise NoSplit(
                f"{where}: no array 'split', so all is train and no {split!r}; expected 0 train, 1 test, 2 val"
            )
        chosen = np.flatnonzero(codes == SPLIT_CODES[split])
        if not len(chosen):
            raise NoSplit(f"{where}: no clouds of split {split!r} ({SPLIT_CODES[split]}) in it")
    labels = arrays.get(label, np.full(count, -1))
    for key in (label, "seg"):
        if key in arrays and arrays[key].dtype.kind not in "iu":
            raise UserError(f"{where}: {key} is {arrays[key].dtype}; expected integers")
    names = [str(n) for n in arrays["name"]] if "name" in arrays else [str(i) for i in range(count)]
    seg = arrays.get("seg")
    half = points.dtype == np.float16

    def read(index: int) -> np.ndarray:
        cloud = points[chosen[index]] if half else as_float32(points[chosen[index]])
        check_points(f"{where}: {names[chosen[index]]}", cloud)
        return cloud

    clouds, kept, skipped = collect(where, [names[i] for i in chosen], read, on_error)
    rows = chosen[kept]
    part_names: list[str] = []
    if seg is not None:
        part_names = [str(c) for c in arrays["seg_classes"]] if "seg_classes" in arrays else numbers(where, seg)
    class_names = [str(c) for c in arrays[classes]] if classes in arrays else numbers(where, labels)
    return pack(
        clouds, labels[rows], class_names, [names[i] for i in rows],
        None if seg is None else [seg[i].astype(np.int64) for i in rows], part_names, skipped=skipped,
    )  # fmt: skip


def numbers(where: str, *labels: np.ndarray) -> list[str]:
    """Names for classes that have none: "0" to the largest of all integer ``labels``.

    UserError, naming ``where``, for labels that are ids and no numbering, such as synsets.
    """
    largest = max(int(array.max(initial=-1)) for array in labels)
    if largest >= MOST_CLASSES:
        raise UserError(f"{where}: label {largest} without names of classes; expected labels counted from 0")
    return [str(i) for i in range(largest + 1)]


def voxel_grids(
    path: str | Path,
    split: str,
    num_points: int = 2048,
    seed: int = 0,
    on_error: OnError = "stop",
    minimum: int = 64,
    classes: tuple[str, ...] = (),
    cache_dir: str | Path | None = None,
) -> PointClouds:
    """Occupancy grids ``X_<split>`` (M, D, D, D) with labels ``y_<split>`` (M,) -> surface points.

    Points are ``surface_points`` of each grid, in voxel units minus D/2 (index order of the array).
    ``split`` is "train" or "test". A grid with fewer than ``minimum`` occupied voxels is bad input:
    UserError, or with ``on_error="skip"`` it is listed in ``.skipped`` as "<split>/<row>"; for an honest
    test score count those as wrong. ``classes`` default to the label numbers of both splits, so that they
    agree. Grid i is drawn from (seed, i), whatever else is in the file.
    """
    path = Path(path)
    check_split(split, ("train", "test"), str(path))
    if num_points < 1:
        raise ValueError(f"num_points is {num_points}; expected at least 1")

    def build() -> PointClouds:
        arrays = read_npz_arrays(path, (f"X_{split}", "y_train", "y_test", "classes"))
        for key in (f"X_{split}", f"y_{split}"):
            if key not in arrays:
                raise UserError(f"{path}: no array {key!r}; expected X_{split} (M, D, D, D) and y_{split} (M,)")
        grids, labels = arrays[f"X_{split}"], arrays[f"y_{split}"]
        if grids.ndim != 4 or labels.shape != (len(grids),) or labels.dtype.kind not in "iu":
            raise UserError(
                f"{path}: X_{split} is {grids.shape}, y_{split} {labels.shape}; expected (M, D, D, D), (M,)"
            )
        both = [arrays[key] for key in ("y_train", "y_test") if key in arrays]
        if not all(array.dtype.kind in "iu" for array in both):
            raise UserError(
                f"{path}: y_train and y_test are {' and '.join(str(a.dtype) for a in both)}; expected integers"
            )
        names = [f"{split}/{i}" for i in range(len(grids))]

        def read(index: int) -> np.ndarray:
            occupied = grids[index] != 0
            if (filled := int(occupied.sum())) < minimum:
                raise UserError(f"{path}: {names[index]}: {filled} occupied voxels; expected at least {minimum}")
            generator = np.random.default_rng([seed, index])
            return (surface_points(occupied, num_points, generator) - np.array(occupied.shape) / 2).astype(np.float32)

        clouds, kept, skipped = collect(str(path), names, read, on_error)
        named = classes or (
            tuple(str(c) for c in arrays["classes"]) if "classes" in arrays else numbers(str(path), *both)
        )
        return pack(clouds, labels[kept], named, [names[i] for i in kept], skipped=skipped)

    parameters: dict[str, object] = {
        "split": split, "num_points": num_points, "seed": seed, "on_error": on_error, "minimum": minimum,
        "classes": classes,
    }  # fmt: skip
    return cached("voxels", [path], parameters, build, cache_dir)


def surface_points(occupied: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Boolean grid (D, H, W) -> (count, 3) float64, each uniform inside a surface voxel [i, i+1)^3.

    A voxel is on the surface if it is occupied and one of its six neighbours is empty; outside the grid is
    empty. All surface voxels are used equally often, up to one: drawn without replacement, and where
    ``count`` is larger than their number, all of them as often as it goes and the rest without replacement.
    ValueError for an empty grid.
    """
    voxels = np.argwhere(occupied & ~_inside(occupied))
    if not len(voxels):
        raise ValueError("the grid is empty")
    rounds = [generator.permutation(len(voxels)) for _ in range(-(-count // len(voxels)))]
    chosen = np.concatenate(rounds)[:count]
    return voxels[chosen] + generator.random((count, 3))


def _inside(occupied: np.ndarray) -> np.ndarray:
    padded = np.pad(occupied, 1)
    inside = np.ones_like(occupied)
    for axis in range(3):
        for shift in (-1, 1):
            inside &= np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1]
    return inside


def read_npz_arrays(path: Path, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Those of ``keys`` that the file has; UserError if it is missing, empty, truncated or holds objects."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a .npz")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty")
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError(f"{path}: a single array; expected a .npz")
        with archive:
            return {key: archive[key] for key in dict.fromkeys(keys) if key in archive}
    except (OSError, *PARSE_ERRORS) as error:
        raise UserError(f"{path}: not a readable .npz (truncated?): {' '.join(str(error).split())}") from None
