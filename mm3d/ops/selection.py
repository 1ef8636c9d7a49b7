"""The k smallest numbers of every row, on CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUPS = 4  # groups for each of the k, at least; more groups mean fewer candidates and more to order
LEAST_GROUPS = 32


def k_smallest(values: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k smallest of every row and their columns, ascending by (value, column).

    A row is cut into groups. The k-th smallest of the groups' minima bounds the k-th smallest value from above, so
    that only what is not above it, hardly more than k numbers, is sorted.

    Args:
        values: (R, N) float32, not negative; infinity is a value.
        k: in [1, N].

    Returns:
        (R, k) and (R, k). With NaN some columns in range.
    """
    rows, size = values.shape
    groups = min(size, max(LEAST_GROUPS, GROUPS * k))
    each = size // groups
    least = values[:, : each * groups].reshape(rows, each, groups).min(1)
    bound = np.partition(least, k - 1, axis=1)[:, k - 1]
    place = np.flatnonzero(values <= bound[:, None])
    row = place // size
    counts = np.bincount(row, minlength=rows)
    if counts.min() < k:  # NaN
        columns = np.sort(np.argpartition(values, k - 1)[:, :k])
        return np.take_along_axis(values, columns, 1), columns
    # The bits of floats that are not negative order as the floats do: one sort of (row, bits, column) in an int64.
    shift = int(size - 1).bit_length()
    bits = values.ravel()[place].view(np.int32).astype(np.int64)
    keys = (((row << 31) | bits) << shift) | (place - row * size)
    keys.sort()
    first = counts.cumsum() - counts
    keys = keys[first[:, None] + np.arange(k)]
    return ((keys >> shift) & 0x7FFFFFFF).astype(np.int32).view(np.float32), keys & ((1 << shift) - 1)
