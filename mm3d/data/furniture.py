"""The shapes that come with the package, so that a demo needs no download. Credits: FURNITURE.md."""

from __future__ import annotations

import io
from importlib import resources

import numpy as np

from mm3d.data.clouds import PointClouds, pack
from mm3d.data.layouts import check_split

STEPS = 2047  # coordinates are stored as integers, in steps of 1/2047 of the unit sphere


def furniture(split: str | None = None) -> PointClouds:
    """Furniture, plants, people, vehicles: 820 shapes of 1,024 points in the unit sphere, y up.

    14 classes; shapes that fit none of them have label -1 and are all in "train", for pretraining.
    ``split`` is "train", "test" (a quarter of each class) or None for both. Names are "<library>/<model>
    <English name>". UserError for another split.
    """
    check_split(split or "train", ("train", "test"), "furniture")
    data = resources.files("mm3d.data").joinpath("furniture.npz").read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        chosen = np.flatnonzero(arrays["split"] == (split == "test")) if split else np.arange(len(arrays["split"]))
        steps = (arrays["high"][chosen].astype(np.int16) << 8) | arrays["low"][chosen]
        points = (steps.astype(np.float32) / STEPS).astype(np.float16)
        names = [f"{item} {name}" for item, name in zip(arrays["item"][chosen], arrays["name"][chosen], strict=True)]
        return pack(list(points), arrays["label"][chosen].astype(np.int64), [str(c) for c in arrays["classes"]], names)
