"""What the loaders of public data sets share: finding the folder, reading lists, naming what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.errors import UserError


def find_folder(root: str | Path, marker: Sequence[str], children: Sequence[str], what: str) -> Path:
    """``root`` or the one of its ``children`` that holds a ``marker`` name (glob); UserError if none does."""
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected {what}")
    for candidate in [root, *(root / child for child in children)]:
        if candidate.is_dir() and any(any(candidate.glob(name)) for name in marker):
            return candidate
    raise UserError(
        f"{root}: does not look like {what}; expected {' or '.join(marker)} in it or in {' or '.join(children)}"
    )


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, stripped, without blank ones; UserError if it is missing, unreadable or empty."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; the data set is not complete") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a list: {error}") from None
    lines = [line for line in lines if line]
    if not lines:
        raise UserError(f"{path}: the list is empty")
    return lines


class NoSplit(UserError):
    """The data has no such split; told from data that is damaged, for a validation split may be missing."""


def check_split(split: str, allowed: Sequence[str], what: str) -> None:
    """NoSplit if ``split`` is not one that the format has."""
    if split not in allowed:
        raise NoSplit(f"{what}: no split {split!r}; expected {', '.join(allowed)}")


def read_h5(path: Path, keys: Sequence[str]) -> list[np.ndarray]:
    """Whole data sets of an HDF5 file; UserError, naming the file, if one is missing or damaged."""
    import h5py

    if not path.is_file():
        raise UserError(f"{path}: no such file; the data set is not complete")
    try:
        with h5py.File(path, "r") as file:
            missing = [key for key in keys if key not in file]
            if missing:
                raise UserError(f"{path}: no array {missing[0]!r}; it has {', '.join(file) or 'nothing'}")
            return [np.asarray(file[key][()]) for key in keys]
    except (OSError, RuntimeError, TypeError) as error:
        raise UserError(
            f"{path}: not a readable HDF5 file (empty or truncated): {' '.join(str(error).split())}"
        ) from None


def h5_clouds(paths: Sequence[Path]) -> tuple[list[np.ndarray], list[int], list[str]]:
    """``data`` (M, N, 3) and ``label`` of HDF5 files -> clouds, labels and names like ``file.h5/17``."""
    clouds: list[np.ndarray] = []
    labels: list[int] = []
    names: list[str] = []
    for path in paths:
        data, label = read_h5(path, ["data", "label"])
        if data.ndim != 3 or data.shape[2] != 3 or data.dtype.kind != "f":
            raise UserError(f"{path}: data is {data.dtype} {data.shape}; expected floats (M, N, 3)")
        label = label.reshape(-1)
        if len(label) != len(data):
            raise UserError(f"{path}: {len(data)} clouds but {len(label)} labels")
        clouds += list(data.astype(np.float32, copy=False))
        labels += [int(value) for value in label]
        names += [f"{path.name}/{i}" for i in range(len(data))]
    return clouds, labels, names
