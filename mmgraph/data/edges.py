"""Edges as they are wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def both_ways(edges: NDArray[np.integer], nodes: int) -> NDArray[np.int64]:
    """(2, E) int64: each of some edges (2, *) once in either direction, sorted, without self-loops."""
    source, target = edges[:, edges[0] != edges[1]].astype(np.int64)
    keys = np.unique(np.concatenate([source * nodes + target, target * nodes + source]))
    return np.stack([keys // nodes, keys % nodes])


def distinct(edges: NDArray[np.integer]) -> NDArray[np.int64]:
    """(2, E) int64: each of some edges (2, *) once, sorted; whatever the numbers, which are not looked at."""
    ordered = edges[:, np.lexsort(edges[::-1])].astype(np.int64)
    first = np.ones(ordered.shape[1], dtype=bool)
    first[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(0)
    return ordered[:, first]
