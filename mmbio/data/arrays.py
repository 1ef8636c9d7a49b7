"""Sequences in .npz files: one reader for structures and antibodies."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError


def read_arrays(path: Path, needed: tuple[str, ...], texts: tuple[str, ...]) -> dict[str, NDArray]:
    """The arrays of an ``.npz``; no pickles are read.

    Args:
        needed: arrays that must be there; ``seq`` is one.
        texts: arrays of texts, one a sequence, those of them that are there.

    Raises:
        UserError: no file, no such file, an array that is missing, or texts that are none or another number than ``seq``.
    """
    try:
        held = np.load(path, allow_pickle=False)
        if isinstance(held, np.ndarray):
            raise UserError(f"{path}: one array (.npy); expected .npz with arrays {', '.join(needed)}")
        with held:
            arrays = {key: held[key] for key in (*needed, *texts) if key in held.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: not readable as a .npz of plain arrays ({error})") from error
    missing = [key for key in needed if key not in arrays]
    if missing:
        got = ", ".join(arrays) or "none of them"
        raise UserError(f"{path}: has no array {missing[0]!r}; expected {', '.join(needed)}, got {got}")
    count = arrays["seq"].shape
    for key in texts:
        if key in arrays and (arrays[key].dtype.kind != "U" or arrays[key].ndim != 1 or arrays[key].shape != count):
            said = f"{arrays[key].dtype} {arrays[key].shape}"
            expected = "(N,)" if key == "seq" or len(count) != 1 else str(count)
            raise UserError(f"{path}: {key} is {said}; expected texts {expected}, one a sequence")
    return arrays
