"""Edges as they are wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def both_ways(edges: NDArray[np.integer], nodes: int) -> NDArray[np.int64]:
    """(2, E) int64: each of some edges (2, *) once in either direction, sorted, without self-loops."""
    source, target = edges[:, edges[0] != edges[1]].astype(np.int64)
    keys = np.unique(np.concatenate([source * nodes + target, target * nodes + source]))
    return np.stack([keys // nodes, keys % nodes])
