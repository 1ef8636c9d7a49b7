"""Pickles of plain containers and arrays, read without executing what they hold."""

from __future__ import annotations

import io
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError


class SparseRows:
    """What a pickled ``scipy.sparse`` matrix in CSR form holds; ``dense`` gives it as an array."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    _shape: tuple[int, int]

    def dense(self) -> np.ndarray:
        """(rows, columns); entries that are there twice are added."""
        made = np.zeros(self._shape, dtype=self.data.dtype)
        np.add.at(made, (np.repeat(np.arange(len(made)), np.diff(self.indptr)), self.indices), self.data)
        return made


_RECONSTRUCT = np.ndarray(0).__reduce__()[0]

ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("collections", "defaultdict"): defaultdict,
    **{("numpy" + core, "_reconstruct"): _RECONSTRUCT for core in (".core.multiarray", "._core.multiarray")},
    **{(builtins, "list"): list for builtins in ("__builtin__", "builtins")},
    **{("scipy.sparse" + part, "csr_matrix"): SparseRows for part in ("", ".csr", "._csr")},
}
"""What such a pickle may name; none of it runs anything but its own making."""


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"names {module}.{name}")
        return ALLOWED[module, name]


def load_plain_pickle(path: Path) -> Any:
    """The content of a pickle that holds numbers, text, lists, dictionaries, arrays and CSR matrices (:class:`SparseRows`).

    Text of Python 2 is read as Latin-1.

    Raises:
        UserError: missing, truncated, or it names anything else.
    """
    try:
        return _Plain(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: {error}; expected a pickle of arrays and lists, anything else could execute code"
        ) from error
    except Exception as error:  # damaged pickles fail in every way
        raise UserError(f"{path}: damaged, or not a pickle ({type(error).__name__})") from error
