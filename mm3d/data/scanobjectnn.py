"""ScanObjectNN (Uy et al., ICCV 2019): 15 classes of scanned objects, three variants."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import UserError
from mm3d.data.cache import cached
from mm3d.data.clouds import OnError, PointClouds, collect, pack
from mm3d.data.files import check_points
from mm3d.data.layouts import check_split, find_folder, h5_clouds

CLASSES = (
    "bag", "bin", "box", "cabinet", "chair", "desk", "display", "door", "shelf", "table",
    "bed", "pillow", "sink", "sofa", "toilet",
)  # fmt: skip
VARIANTS = {  # variant: folder, end of the file name
    "obj_bg": ("main_split", "objectdataset.h5"),
    "obj_only": ("main_split_nobg", "objectdataset.h5"),
    "pb_t50_rs": ("main_split", "objectdataset_augmentedrot_scale75.h5"),
}


def scanobjectnn(
    root: str | Path,
    split: str,
    variant: str = "pb_t50_rs",
    on_error: OnError = "stop",
    cache_dir: str | Path | None = None,
) -> PointClouds:
    """ScanObjectNN; 2,048 points a shape, not normalised (neither in the files nor here).

    ``root`` is ``h5_files``, or the folder that holds it. ``variant``: "obj_bg" (with background),
    "obj_only", "pb_t50_rs" (the hardest: perturbed, rotated, scaled). ``split`` is "train" or "test".
    Raises UserError for anything missing or damaged, and for a bad cloud unless ``on_error="skip"`` lists
    it in ``.skipped``.
    """
    check_split(split, ("train", "test"), "scanobjectnn")
    if variant not in VARIANTS:
        raise UserError(f"scanobjectnn: no variant {variant!r}; expected {', '.join(VARIANTS)}")
    folder = find_folder(root, ("main_split*",), ("h5_files", "ScanObjectNN/h5_files", "ScanObjectNN"), "ScanObjectNN")
    place, end = VARIANTS[variant]
    path = folder / place / f"{'training' if split == 'train' else 'test'}_{end}"

    def build() -> PointClouds:
        clouds, labels, names = h5_clouds([path])

        def read(index: int) -> np.ndarray:
            check_points(names[index], clouds[index])
            return clouds[index]

        good, kept, skipped = collect("scanobjectnn", names, read, on_error)
        return pack(good, [labels[i] for i in kept], CLASSES, [names[i] for i in kept], skipped=skipped)

    return cached("scanobjectnn", [path], {"on_error": on_error}, build, cache_dir)
