"""Dropped edges: which are kept, and the pattern of those that are."""

from __future__ import annotations

import torch
from torch import Tensor

from core.random import Randomness
from mmgraph.graph import Graphs
from mmgraph.masks import batch_generator
from mmgraph.ops import Pattern


def drop_edges(edges: Tensor | Graphs, ratio: float, randomness: Randomness = None) -> Tensor:
    """Keep every directed edge with probability 1 - ratio, each for itself: an undirected edge may lose one direction.

    Args:
        edges: (2, E) int64, or a batch that has them.
        ratio: in [0, 1); 0 draws nothing.
        randomness: one CPU generator, one a graph (the first is used, since the draw is the batch's), or None.

    Returns:
        (E,) bool on the CPU, True for the edges that are kept. Self-loops are drawn like all others; what that means is
        left to :func:`kept_edges`.

    Raises:
        ValueError: a ratio outside [0, 1).

    Source: ``drop_edge`` in utils.py of GraphMAE's and GraphMAE2's official code, after Rong et al., "DropEdge".
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"a share of dropped edges is in [0, 1), got {ratio}")
    count = (edges.edge_index if isinstance(edges, Graphs) else edges).shape[1]
    if ratio == 0:
        return torch.ones(count, dtype=torch.bool)
    return torch.rand(count, generator=batch_generator(randomness)) >= ratio


def kept_edges(graphs: Graphs, kept: Tensor | None) -> Pattern:
    """Edges that a layer sees when only some are kept: those, and one self-loop at every node.

    Args:
        kept: (E,) bool on the batch's device; None for all edges.
    """
    return graphs.edges if kept is None else graphs.edges_without(~kept)[0]
