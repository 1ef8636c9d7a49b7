"""Sweeps with a class for every point: SemanticKITTI and KITTI folders, npz frames, and the generated streets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.errors import UserError
from mm3d.config.voxels import SweepsConfig
from mm3d.data import kitti, semantic_kitti
from mm3d.data.street import CLASSES, SWEEPS, street_sweep
from mm3d.data.sweep_files import finite, frame_names, read_sweep
from mm3d.data.sweeps import is_far, sweep_files

MOST = 64  # sweeps of a folder


class LabelledSweep(NamedTuple):
    """Points (N, 4) float32 and the class of each (N,) int64, -1 for none."""

    name: str
    points: np.ndarray
    labels: np.ndarray


class LabelledSource(NamedTuple):
    """Names of M labelled sweeps, functions that read them, and the names of their classes."""

    names: tuple[str, ...]
    readers: tuple[Callable[[], LabelledSweep], ...]
    classes: tuple[str, ...]


def labelled_sweeps(source: str, config: SweepsConfig) -> tuple[list[LabelledSweep], tuple[str, ...]]:
    """The sweeps that :func:`find_labelled` finds, all read, and the names of their classes.

    Raises:
        UserError: nothing labelled there, or labels that do not fit.
    """
    found = find_labelled(source, config)
    return [read() for read in found.readers], found.classes


def find_labelled(source: str, config: SweepsConfig, most: int = MOST) -> LabelledSource:
    """Labelled sweeps of a word of the command line; nothing is read yet, except the lists inside npz files.

    ``street``: the generated sweeps. A folder: SemanticKITTI, ``velodyne/N.bin`` beside ``labels/N.label``, else KITTI,
    ``velodyne/N.bin`` beside ``label_2/N.txt`` and ``calib/N.txt``; of more than ``most`` sweeps (0 for all), so many evenly
    spread. An npz: arrays ``NAME_points`` with ``NAME_label`` in SemanticKITTI's numbers. Points within ``config.close`` are
    left out.

    Raises:
        UserError: nothing labelled there.
    """
    found = _named(source, config, most)
    return found._replace(readers=tuple(partial(_not_close, reader, config.close) for reader in found.readers))


def _not_close(read: Callable[[], LabelledSweep], close: float) -> LabelledSweep:
    name, points, labels = read()
    far = is_far(points, close)
    return LabelledSweep(name, points[far], labels[far])


def _named(source: str, config: SweepsConfig, most: int) -> LabelledSource:
    if source == "street":
        seeds = range(SWEEPS)
        names = tuple(f"street {seed} (generated)" for seed in seeds)
        return LabelledSource(names, tuple(partial(_generated, seed) for seed in seeds), CLASSES)
    path = Path(source)
    found: list[tuple[str, Callable[[], LabelledSweep]]]
    kinds: tuple[str, ...] = semantic_kitti.NAMES
    if path.suffix == ".npz" and path.is_file():
        found = [(f"{path}: {name}", partial(_frame, path, name)) for name in _labelled_frames(path)]
    elif path.is_dir():
        every = sweep_files(path)
        files, read = [file for file in every if semantic_kitti.label_file(file).is_file()], _semantic_kitti
        if not files:
            files, read = [file for file in every if kitti.label_file(file).is_file()], _kitti
            kinds = kitti.NAMES
        chosen = np.unique(np.linspace(0, len(files) - 1, min(most or len(files), len(files))).astype(int))
        found = [(str(files[i]), partial(read, files[i], config)) for i in chosen]
    else:
        raise UserError(f"data {source!r}: no such folder or .npz file; expected labelled sweeps, or street")
    if not found:
        raise UserError(
            f"{path}: no labelled sweeps; expected velodyne/N.bin with labels/N.label or with label_2/N.txt and calib/N.txt, "
            "or NAME_label arrays"
        )
    found_names, readers = zip(*found, strict=True)
    return LabelledSource(found_names, readers, kinds)


def _generated(seed: int) -> LabelledSweep:
    return LabelledSweep(f"street {seed} (generated)", *street_sweep(seed))


def _labelled_frames(path: Path) -> list[str]:
    """Names of the sweeps of an npz that have labels."""
    names = frame_names(path)
    with np.load(path, allow_pickle=False) as arrays:
        return [name for name in names if _labels_of(name) in arrays.files]


def _labels_of(name: str) -> str:
    return name.removesuffix("points") + "label"


def _frame(path: Path, name: str) -> LabelledSweep:
    labels = _labels_of(name)
    with np.load(path, allow_pickle=False) as arrays:
        points = finite(arrays[name], f"{path}: {name}")
        if len(points) != len(arrays[labels]):
            raise UserError(f"{path}: {len(arrays[labels])} of {labels} for {len(points)} finite points")
        return LabelledSweep(name, points, semantic_kitti.benchmark_classes(arrays[labels].astype(np.int64)))


def _semantic_kitti(file: Path, config: SweepsConfig) -> LabelledSweep:
    points = read_sweep(file, config.columns)
    return LabelledSweep(str(file), points, semantic_kitti.point_classes(file, points, config.columns))


def _kitti(file: Path, config: SweepsConfig) -> LabelledSweep:
    points = read_sweep(file, config.columns)
    return LabelledSweep(str(file), points, kitti.point_classes(file, points))
