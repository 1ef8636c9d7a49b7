"""Data by a word of the command line: ``furniture``, ``path/to/folder``, ``modelnet40:path/to/data``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from core.config import did_you_mean
from core.errors import UserError
from mm3d.data.arrays import point_arrays, voxel_grids
from mm3d.data.clouds import OnError, PointClouds, pack
from mm3d.data.folder import folder, split_folders
from mm3d.data.furniture import furniture
from mm3d.data.layouts import NoSplit
from mm3d.data.modelnet40 import modelnet10, modelnet40
from mm3d.data.scanobjectnn import scanobjectnn
from mm3d.data.shapenet55 import shapenet55
from mm3d.data.shapenetpart import shapenetpart

Loader = Callable[[str, str, OnError], PointClouds]


def _scan(variant: str) -> Loader:
    return lambda path, split, on_error: scanobjectnn(path, split, variant, on_error)


def _folder(path: str, split: str, on_error: OnError) -> PointClouds:
    if not Path(path).is_dir():
        return folder(path)  # says what is wrong
    has_splits = bool(split_folders(Path(path)))
    if not has_splits and split != "train":
        raise NoSplit(
            f"{path}: no split {split!r} in it; expected train/ and {split}/ and no other folders, "
            "with a folder a class in each"
        )
    return folder(path, on_error=on_error, split=split if has_splits else None)


LAYOUTS: dict[str, tuple[Loader, str]] = {
    "furniture": (
        lambda path, split, on_error: furniture(split),
        "the furniture shapes that come with the package; needs no path",
    ),
    "folder": (
        _folder,
        "a folder of PLY, OBJ, STL, OFF, PCD, XYZ, NPY or NPZ files; a folder a class, train/ and test/ above",
    ),
    "arrays": (
        lambda path, split, on_error: point_arrays(path, split, on_error=on_error),
        "one .npz with points, label, classes, split",
    ),
    "shapes": (
        lambda path, split, on_error: point_arrays(path, split, "shape_label", "shape_classes", on_error),
        "as arrays, with labels from shape_label",
    ),
    "voxels": (
        lambda path, split, on_error: voxel_grids(path, split, on_error=on_error),
        "one .npz with occupancy grids X_train, y_train, ...",
    ),
    "modelnet40": (
        lambda path, split, on_error: modelnet40(path, split, on_error=on_error),
        "ModelNet40, as text, HDF5 or meshes",
    ),
    "modelnet10": (
        lambda path, split, on_error: modelnet10(path, split, on_error=on_error),
        "ModelNet10, as text or meshes",
    ),
    "scanobjectnn_obj_bg": (_scan("obj_bg"), "ScanObjectNN with background (h5_files/main_split)"),
    "scanobjectnn_obj_only": (_scan("obj_only"), "ScanObjectNN, objects only (h5_files/main_split_nobg)"),
    "scanobjectnn_pb_t50_rs": (_scan("pb_t50_rs"), "ScanObjectNN, the hardest variant"),
    "shapenet55": (
        lambda path, split, on_error: shapenet55(path, split, on_error),
        "ShapeNet-55/{train,test}.txt and shapenet_pc/",
    ),
    "shapenetpart": (
        lambda path, split, on_error: shapenetpart(path, split, on_error),
        "ShapeNetPart with normals, 16 classes, 50 parts",
    ),
}


def load(source: str, split: str, on_error: OnError = "stop") -> PointClouds:
    """The clouds that a source word names.

    Args:
        source: ``name`` (built in), ``path`` (a folder of files, or an .npz), or ``layout:path``. Several separated by
            commas are put together; classes are then those of all, told apart by name.
        split: "train", "test", and "val" where the layout has it.
        on_error: what a bad file does.

    Raises:
        UserError: an unknown layout, one without its path, a path for ``furniture``, a path that does not exist,
            and what the layouts' loaders raise.
    """
    return join([_load(word.strip(), split, on_error) for word in source.split(",") if word.strip()])


def _load(word: str, split: str, on_error: OnError) -> PointClouds:
    name, colon, path = word.partition(":")
    if name == "furniture":
        if colon:
            raise UserError(f"data {word!r}: furniture comes with the package and has no path; write furniture alone")
        return LAYOUTS[name][0]("", split, on_error)
    if name in LAYOUTS:
        if not path:
            raise UserError(f"data {word!r}: where is it? Write {name}:path/to/it")
        return LAYOUTS[name][0](path, split, on_error)
    if Path(word).is_dir():
        return _folder(word, split, on_error)
    if Path(word).is_file() and word.endswith(".npz"):
        return point_arrays(word, split, on_error=on_error)
    hint = did_you_mean(name, LAYOUTS)
    raise UserError(f"data {word!r}: no such folder or .npz file{hint if hint.startswith('; did') else ''}")


def join(parts: Sequence[PointClouds]) -> PointClouds:
    """Several sets as one; part labels are kept only if there is one set.

    Raises:
        UserError: no set was given.
    """
    if not parts:
        raise UserError("data: nothing given")
    if len(parts) == 1:
        return parts[0]
    classes = list(dict.fromkeys(name for part in parts for name in part.classes))
    labels = [classes.index(part.classes[i]) if i >= 0 else -1 for part in parts for i in part.labels]
    return pack(
        [part.cloud(i) for part in parts for i in range(len(part))],
        np.array(labels),
        classes,
        [name for part in parts for name in part.names],
        skipped=[item for part in parts for item in part.skipped],
    )
