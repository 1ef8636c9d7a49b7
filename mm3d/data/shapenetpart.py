"""ShapeNetPart (Yi et al., SIGGRAPH Asia 2016): 16 classes, 50 parts, points with normals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from core.errors import UserError
from mm3d.data.cache import cached
from mm3d.data.clouds import OnError, PointClouds, collect, pack
from mm3d.data.files import as_float32, check_points
from mm3d.data.layouts import check_split, find_folder, read_lines

FOLDER = "shapenetcore_partanno_segmentation_benchmark_v0_normal"
PARTS = {  # the standard numbering of the 50 parts, class by class
    "Airplane": (0, 1, 2, 3), "Bag": (4, 5), "Cap": (6, 7), "Car": (8, 9, 10, 11), "Chair": (12, 13, 14, 15),
    "Earphone": (16, 17, 18), "Guitar": (19, 20, 21), "Knife": (22, 23), "Lamp": (24, 25, 26, 27),
    "Laptop": (28, 29),
    "Motorbike": (30, 31, 32, 33, 34, 35), "Mug": (36, 37), "Pistol": (38, 39, 40), "Rocket": (41, 42, 43),
    "Skateboard": (44, 45, 46), "Table": (47, 48, 49),
}  # fmt: skip
SPLITS = {"train": ("train",), "val": ("val",), "test": ("test",), "trainval": ("train", "val")}


def shapenetpart(
    root: str | Path, split: str, on_error: OnError = "stop", cache_dir: str | Path | None = None
) -> PointClouds:
    """ShapeNetPart with one part label a point: 12,137 train, 1,870 val, 2,874 test shapes.

    ``root`` is ``shapenetcore_partanno_segmentation_benchmark_v0_normal`` or its parent. ``split`` is
    "train", "val", "test" or "trainval" (what most papers train on). Normals are not kept. Raises UserError
    for anything missing or damaged, and for a part outside those of its class; ``on_error="skip"`` lists
    bad shapes in ``.skipped``.
    """
    check_split(split, tuple(SPLITS), "shapenetpart")
    folder = find_folder(root, ("synsetoffset2category.txt",), (FOLDER,), "ShapeNetPart")
    listing = folder / "synsetoffset2category.txt"
    class_of: dict[str, str] = {}
    for line in read_lines(listing):
        words = line.split()
        if len(words) != 2 or words[0] not in PARTS:
            raise UserError(f"{listing}: {line!r}; expected one of the 16 classes and its synset")
        class_of[words[1]] = words[0]
    lists = [folder / "train_test_split" / f"shuffled_{s}_file_list.json" for s in SPLITS[split]]
    items = [item for path in lists for item in _read_list(path)]  # "shape_data/02691156/1a04e3ea..."
    names, labels, classes = [], [], list(PARTS)
    for item in items:
        synset, shape = item.split("/")[-2:]
        if synset not in class_of:
            raise UserError(f"{lists[0]}: {item}: synset {synset!r} is not in synsetoffset2category.txt")
        names.append(f"{synset}/{shape}.txt")
        labels.append(classes.index(class_of[synset]))
    paths = [folder / name for name in names]

    def build() -> PointClouds:
        def read(index: int) -> tuple[np.ndarray, np.ndarray]:
            return _read_shape(paths[index], classes[labels[index]])

        values, kept, skipped = collect("shapenetpart", names, read, on_error)
        part_names = [f"{kind} {i}" for kind, ids in PARTS.items() for i in range(len(ids))]
        return pack(
            [points for points, _ in values], [labels[i] for i in kept], classes, [names[i] for i in kept],
            [parts for _, parts in values], part_names, list(PARTS.values()), skipped,
        )  # fmt: skip

    return cached("shapenetpart", [*paths, *lists, listing], {"split": split, "on_error": on_error}, build, cache_dir)


def _read_list(path: Path) -> list[str]:
    try:
        items = json.loads("\n".join(read_lines(path)))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(items, list) or not items or not all(isinstance(i, str) and i.count("/") >= 1 for i in items):
        raise UserError(f"{path}: expected a JSON list of 'shape_data/<synset>/<shape>'")
    return items


def _read_shape(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """x y z nx ny nz part -> (N, 3) float32 points (``as_float32``), (N,) int64 parts."""
    try:
        rows = np.loadtxt(read_lines(path), ndmin=2)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    if rows.shape[1] != 7:
        raise UserError(f"{path}: {rows.shape[1]} columns; expected x y z nx ny nz part")
    points = as_float32(rows[:, :3])
    check_points(str(path), points)
    wrong = ~np.isin(rows[:, 6], PARTS[kind])
    if wrong.any():
        raise UserError(f"{path}: part label {rows[wrong, 6][0]:g} is not one of {kind}; expected {list(PARTS[kind])}")
    return points, rows[:, 6].astype(np.int64)
