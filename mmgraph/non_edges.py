"""Pairs of nodes between which there is no edge."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmgraph.graph import Graphs

ROUNDS = 20


def draw_non_edges(graphs: Graphs, count: int, source: torch.Generator | None) -> Tensor:
    """Pairs that no edge joins in either direction, a uniform node and a uniform other of its graph: (2, N) int64.

    Args:
        graphs: a batch of graphs.
        count: how many are wanted.
        source: a CPU generator; None for torch's default.

    Returns:
        Pairs on the CPU, drawn with replacement: ``count`` of them, fewer only where next to all pairs are edges.
    """
    nodes, offsets = len(graphs.x), graphs.offsets.cpu()
    starts = offsets[:-1][graphs.graph_of_node.cpu()]
    sizes = offsets.diff()[graphs.graph_of_node.cpu()]
    edges = graphs.pairs[1]
    found: list[Tensor] = []
    missing = count
    for _ in range(ROUNDS):
        drawn = missing + missing // 8 + 8
        a = torch.randint(nodes, (drawn,), generator=source)
        b = starts[a] + (torch.rand(drawn, generator=source, dtype=torch.float64) * sizes[a]).long()
        key = torch.minimum(a, b) * nodes + torch.maximum(a, b)
        free = (a != b) & ~_contains(edges, key)
        found.append(torch.stack([a, b])[:, free][:, :missing])
        missing -= found[-1].shape[1]
        if missing == 0:
            break
    return torch.cat(found, 1)


def draw_distinct_non_edges(graphs: Graphs, count: int, source: torch.Generator | None) -> Tensor:
    """As :func:`draw_non_edges`, but no pair twice, neither way round; fewer where that many are not found."""
    found = torch.empty(2, 0, dtype=torch.int64)
    for _ in range(ROUNDS):
        found = torch.cat([found, draw_non_edges(graphs, count - found.shape[1], source)], 1)
        key = found.amin(0) * len(graphs.x) + found.amax(0)
        found = found[:, torch.from_numpy(np.sort(np.unique(key.numpy(), return_index=True)[1]))]
        if found.shape[1] == count:
            break
    return found


def _contains(ascending: Tensor, values: Tensor) -> Tensor:
    if len(ascending) == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    place = torch.searchsorted(ascending, values).clamp(max=len(ascending) - 1)
    return ascending[place] == values
