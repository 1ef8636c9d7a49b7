"""ModelNet40 and ModelNet10 (Wu et al., "3D ShapeNets", CVPR 2015), three distributed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import UserError
from mm3d.data.cache import cached
from mm3d.data.clouds import OnError, PointClouds, collect, pack
from mm3d.data.files import check_points, read_points
from mm3d.data.layouts import check_split, find_folder, h5_clouds, read_lines

CHILDREN = {
    "modelnet40": ("modelnet40_normal_resampled", "modelnet40_ply_hdf5_2048", "ModelNet40"),
    "modelnet10": ("modelnet40_normal_resampled", "ModelNet10"),
}


def modelnet40(
    root: str | Path, split: str, num_points: int = 2048, on_error: OnError = "stop", seed: int = 0,
    cache_dir: str | Path | None = None,
) -> PointClouds:  # fmt: skip
    """ModelNet40, 9,843 train and 2,468 test shapes.

    ``root`` is one of these folders or its parent: ``modelnet40_normal_resampled`` (text, 10,000 points a
    shape; all are kept, normals are not), ``modelnet40_ply_hdf5_2048`` (HDF5, 2,048 points), ``ModelNet40``
    (OFF meshes as ``<class>/{train,test}/*.off``; ``num_points`` sampled by area from ``seed``). ``split``
    is "train" or "test". Raises UserError for an incomplete tree, and for a bad file unless
    ``on_error="skip"`` lists it in ``.skipped``.
    """
    return _modelnet("modelnet40", root, split, num_points, on_error, seed, cache_dir)


def modelnet10(
    root: str | Path, split: str, num_points: int = 2048, on_error: OnError = "stop", seed: int = 0,
    cache_dir: str | Path | None = None,
) -> PointClouds:  # fmt: skip
    """ModelNet10, 3,991 train, 908 test: the text form with ``modelnet10_*.txt``, or OFF meshes."""
    return _modelnet("modelnet10", root, split, num_points, on_error, seed, cache_dir)


def _modelnet(
    name: str,
    root: str | Path,
    split: str,
    num_points: int,
    on_error: OnError,
    seed: int,
    cache_dir: str | Path | None,
) -> PointClouds:
    check_split(split, ("train", "test"), name)
    markers = [f"{name}_shape_names.txt", "ply_data_*.h5", "*/test/*.off", "*/train/*.off"]
    folder = find_folder(root, markers, CHILDREN[name], name)
    if (folder / f"{name}_shape_names.txt").is_file():
        return _text(name, folder, split, on_error, cache_dir)
    if any(folder.glob("ply_data_*.h5")):
        return _hdf5(name, folder, split, on_error, cache_dir)
    return _meshes(name, folder, split, num_points, on_error, seed, cache_dir)


def _text(name: str, folder: Path, split: str, on_error: OnError, cache_dir: str | Path | None) -> PointClouds:
    classes = read_lines(folder / f"{name}_shape_names.txt")
    listing = folder / f"{name}_{split}.txt"
    shapes = read_lines(listing)
    kinds = [shape.rsplit("_", 1)[0] for shape in shapes]
    for shape, kind in zip(shapes, kinds, strict=True):
        if kind not in classes:
            raise UserError(f"{listing}: {shape}: class {kind!r} is not in {name}_shape_names.txt")
    paths = [folder / kind / f"{shape}.txt" for shape, kind in zip(shapes, kinds, strict=True)]
    labels = [classes.index(kind) for kind in kinds]
    return _files(name, folder, paths, labels, classes, 0, on_error, 0, cache_dir)


def _meshes(
    name: str,
    folder: Path,
    split: str,
    num_points: int,
    on_error: OnError,
    seed: int,
    cache_dir: str | Path | None,
) -> PointClouds:
    classes = sorted(p.name for p in folder.iterdir() if (p / "train").is_dir() or (p / "test").is_dir())
    paths, labels = [], []
    for label, kind in enumerate(classes):
        found = sorted((folder / kind / split).glob("*.off"))
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise UserError(f"{folder}: no files <class>/{split}/*.off")
    return _files(name, folder, paths, labels, classes, num_points, on_error, seed, cache_dir)


def _files(
    name: str, folder: Path, paths: list[Path], labels: list[int], classes: list[str], num_points: int,
    on_error: OnError, seed: int, cache_dir: str | Path | None,
) -> PointClouds:  # fmt: skip
    names = [str(path.relative_to(folder)) for path in paths]

    def build() -> PointClouds:
        clouds, kept, skipped = collect(name, names, lambda i: read_points(paths[i], num_points, seed), on_error)
        return pack(clouds, [labels[i] for i in kept], classes, [names[i] for i in kept], skipped=skipped)

    parameters: dict[str, object] = {
        "num_points": num_points, "on_error": on_error, "seed": seed, "labels": labels, "classes": classes,
    }  # fmt: skip
    return cached(name, paths, parameters, build, cache_dir)


def _hdf5(name: str, folder: Path, split: str, on_error: OnError, cache_dir: str | Path | None) -> PointClouds:
    if name != "modelnet40":
        raise UserError(f"{folder}: the HDF5 form has the 40 classes only; expected the text or OFF form of {name}")
    paths = sorted(folder.glob(f"ply_data_{split}*.h5"))
    if not paths:
        raise UserError(f"{folder}: no ply_data_{split}*.h5")
    listing = folder / "shape_names.txt"

    def build() -> PointClouds:
        return _checked(name, read_lines(listing), *h5_clouds(paths), on_error)

    return cached(name, [*paths, listing], {"split": split, "on_error": on_error}, build, cache_dir)


def _checked(
    name: str,
    classes: list[str],
    clouds: list[np.ndarray],
    labels: list[int],
    names: list[str],
    on_error: OnError,
) -> PointClouds:
    def read(index: int) -> np.ndarray:
        check_points(names[index], clouds[index])
        return clouds[index]

    good, kept, skipped = collect(name, names, read, on_error)
    return pack(good, [labels[i] for i in kept], classes, [names[i] for i in kept], skipped=skipped)
