"""Text files of numbers, packed or not."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError


def read_table(path: Path, kind: type[np.generic], expected: str) -> NDArray[Any]:
    """All numbers of a file with commas between them and without header: (lines, columns) of a dtype.

    Args:
        path: a text file, or a packed one that ends in .gz.
        kind: dtype of the numbers.
        expected: what the file should be, for the error.

    Raises:
        UserError: missing, empty, damaged, lines of different length, or something that is no such number.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # numpy warns of an empty file, which is an error below
            warnings.simplefilter("error", DeprecationWarning)  # of fractions that it would cut to whole numbers
            found = np.loadtxt(path, dtype=kind, delimiter=",", ndmin=2)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; expected {expected}") from error
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not readable as {expected} ({error})") from error
    if found.size == 0:
        raise UserError(f"{path}: empty; expected {expected}")
    return found
