"""How nodes of a graph stand to each other: degrees, and the lengths of shortest paths. Computed on the CPU, outside models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.graph import Graphs, join

TOGETHER = 256  # nodes of small graphs whose paths are searched in one call
LARGEST = 1 << 14  # nodes of one graph
UNREACHABLE = -1


class Structure(NamedTuple):
    """Degrees and distances of the nodes of a batch.

    ``in_degree`` and ``out_degree`` (T,) int64 count different neighbours; a self-loop is one. ``distance`` (sum of
    n * n over graphs of n nodes,) int16 has the matrix of each graph, row by row, graph after graph: how many edges the
    shortest path from the row's node to the column's node has, -1 where there is none.
    """

    in_degree: Tensor
    out_degree: Tensor
    distance: Tensor

    def to(self, device: torch.device | str) -> Structure:
        return Structure(*(t.to(device) for t in self))


class StructuredGraphs(Graphs):
    """Graphs that carry the structure a transformer reads, so that a training step does not search paths.

    Args:
        graphs: the batch.
        structure: of all its nodes.
    """

    def __init__(self, graphs: Graphs, structure: Structure) -> None:
        super().__init__(graphs.x, graphs.edge_index, graphs.offsets, graphs.edge_attr)
        self.structure = structure

    def to(self, device: torch.device | str) -> StructuredGraphs:
        if self.x.device == torch.device(device):
            return self
        return StructuredGraphs(super().to(device), self.structure.to(device))


def with_structure(graphs: Graphs) -> StructuredGraphs:
    """Graphs with their structure; searched on the CPU where they do not have it yet.

    Raises:
        UserError: a graph too large for attention over all pairs of its nodes.
    """
    if isinstance(graphs, StructuredGraphs):
        return graphs
    nodes = len(graphs.x)
    largest = int(graphs.offsets.diff().max())
    if largest > LARGEST:
        raise UserError(
            f"a graph of {largest} nodes: attention is over all pairs of nodes, at most {LARGEST} are taken; give ego-graphs"
        )
    index = graphs.edge_index.cpu().numpy()
    source, target = np.divmod(np.unique(index[0] * nodes + index[1]), nodes)  # an edge that is there twice is one
    structure = Structure(
        torch.from_numpy(np.bincount(target, minlength=nodes)),
        torch.from_numpy(np.bincount(source, minlength=nodes)),
        torch.from_numpy(distances(source, target, graphs.offsets.cpu().numpy())),
    )
    return StructuredGraphs(graphs, structure.to(graphs.x.device))


def join_structured(graphs: Sequence[Graphs]) -> StructuredGraphs:
    """Several batches as one, their structure beside each other."""
    parts = [g.structure for g in graphs if isinstance(g, StructuredGraphs)]
    joined = join(graphs)
    if len(parts) < len(graphs):
        return with_structure(joined)
    return StructuredGraphs(joined, Structure(*(torch.cat(part) for part in zip(*parts, strict=True))))


def distances(source: np.ndarray, target: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Lengths of all shortest paths within each graph of a batch.

    Args:
        source, target: (E,) int64, directed edges, sorted by source.
        offsets: (B + 1,) int64, where the nodes of each graph start.

    Returns:
        (sum of n * n,) int16 as in :class:`Structure`.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import dijkstra

    graph = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    found = [np.zeros(0, dtype=np.int16)]
    for first, last in spans(offsets, TOGETHER):
        a, b = offsets[first], offsets[last]
        edges = slice(*np.searchsorted(source, (a, b)))
        ends = (source[edges] - a, target[edges] - a)
        lengths = dijkstra(csr_matrix((np.ones(len(ends[0])), ends), shape=(b - a, b - a)), unweighted=True)
        lengths[np.isinf(lengths)] = UNREACHABLE
        if last - first > 1:
            lengths = lengths[graph[a:b, None] == graph[None, a:b]]
        found.append(lengths.ravel().astype(np.int16))
    return np.concatenate(found)


def spans(offsets: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Graphs in runs [first, last) of at most so many nodes; a larger graph is a run of its own."""
    runs = []
    first = 0
    for last in range(1, len(offsets)):
        if last == len(offsets) - 1 or offsets[last + 1] - offsets[first] > most:
            runs.append((first, last))
            first = last
    return runs
