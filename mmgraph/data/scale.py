"""Features of one scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def standardise(x: NDArray[np.float32]) -> None:
    """Bring every column of (T, F) to mean 0 and deviation 1 over all rows, in place; a constant one to 0."""
    deviation = x.std(0, dtype=np.float64)
    x -= x.mean(0, dtype=np.float64).astype(np.float32)
    x /= np.where(deviation > 0, deviation, 1).astype(np.float32)
