"""Incoming edges of every node as compressed rows, and what is drawn from them, many nodes at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from mmgraph.graph import Graphs

PIECE = 2**20  # edges that are looked at together

Places = tuple[NDArray[np.int64], NDArray[np.int64]]


class Neighbours:
    """For every node the nodes that it listens to. Self-loops are left out, since layers add one to every node.

    Args:
        start: (T + 1,) int64, where the row of each node begins.
        source: (E,) int32 or int64, the nodes at the other end, in the order of the edges within a row.
        edge: (E,) number of each edge in the graph; None where nobody asks.
    """

    def __init__(
        self, start: NDArray[np.int64], source: NDArray[np.integer], edge: NDArray[np.int64] | None = None
    ) -> None:
        self.start = start
        self.source = source
        self.edge = edge

    @classmethod
    def of_graph(cls, graph: Graphs) -> Neighbours:
        """By a counting sort that reads the edges piece by piece: beside the result it needs memory for one piece.

        The edges may be a memory map. Their numbers are kept where they have attributes (8 bytes an edge more).
        """
        edge_index, nodes = graph.edge_index.numpy(), len(graph.x)
        piece = max(PIECE, nodes)
        pieces = range(0, edge_index.shape[1], piece)
        counts = np.zeros(nodes, np.int64)
        for at in pieces:
            source, target = edge_index[:, at : at + piece]
            counts += np.bincount(target[source != target], minlength=nodes)
        start = np.concatenate([[0], counts.cumsum()])
        sources = np.empty(start[-1], np.int32 if nodes <= np.iinfo(np.int32).max else np.int64)
        edges = None if graph.edge_attr is None else np.empty(start[-1], np.int64)
        free = start[:-1].copy()
        for at in pieces:
            source, target = edge_index[:, at : at + piece]
            order = np.argsort(target, kind="stable")
            order = order[source[order] != target[order]]
            target = target[order]
            counts = np.bincount(target, minlength=nodes)
            place = np.arange(len(target)) - np.repeat(counts.cumsum() - counts - free, counts)
            sources[place] = source[order]
            if edges is not None:
                edges[place] = order + at
            free += counts
        return cls(start, sources, edges)

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self.start) - 1

    def all(self, nodes: NDArray[np.int64]) -> Places:
        """All edges into some nodes (R,): the position in ``nodes`` of each edge's target, and its place in ``source``."""
        degree = self.start[nodes + 1] - self.start[nodes]
        row = np.repeat(np.arange(len(nodes)), degree)
        return row, np.arange(len(row)) + np.repeat(self.start[nodes] - degree.cumsum() + degree, degree)

    def draw(self, nodes: NDArray[np.int64], fanout: int, generator: torch.Generator) -> Places:
        """At most ``fanout`` different edges into each of some nodes, uniformly; all of them for -1. As :meth:`all`.

        Memory is (R, fanout) whatever the degrees.

        Source: Floyd's algorithm in Bentley and Floyd, "A Sample of Brilliance", CACM 1987, for all nodes at once.
        """
        if fanout < 0:
            return self.all(nodes)
        degree = self.start[nodes + 1] - self.start[nodes]
        many = (degree > fanout).nonzero()[0]
        few = (degree <= fanout).nonzero()[0]
        row, place = self.all(nodes[few])
        uniform = torch.rand(len(many), fanout, generator=generator, dtype=torch.float64).numpy()
        chosen = np.empty((len(many), fanout), np.int64)
        for column in range(fanout):
            last = degree[many] - fanout + column
            pick = np.minimum((uniform[:, column] * (last + 1)).astype(np.int64), last)
            taken = (chosen[:, :column] == pick[:, None]).any(1)
            chosen[:, column] = np.where(taken, last, pick)
        chosen += self.start[nodes[many], None]
        return np.concatenate([few[row], many.repeat(fanout)]), np.concatenate([place, chosen.ravel()])

    def around(
        self, roots: NDArray[np.int64], fanouts: tuple[int, ...], generator: torch.Generator
    ) -> NDArray[np.int64]:
        """Nodes within reach of some roots, the roots first, then layer by layer; each once.

        Every node draws neighbours once, by the fan-out of the layer in which it is first reached.
        """
        nodes = frontier = roots
        for fanout in fanouts:
            _, place = self.draw(frontier, fanout, generator)
            reached = np.unique(self.source[place]).astype(np.int64)
            frontier = reached[~np.isin(reached, nodes)]
            nodes = np.concatenate([nodes, frontier])
        return nodes

    def induced(self, nodes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All edges among some different nodes (R,), and their places: (2, E) positions in ``nodes``, (E,)."""
        member = Members(nodes)
        found: list[NDArray[np.int64]] = []
        for first, last in self.pieces(nodes):
            row, place = self.all(nodes[first:last])
            inside, source = member(self.source[place])
            found.append(np.stack([source, row[inside] + first, place[inside]]))
        edges = np.concatenate(found, 1)
        return edges[:2], edges[2]

    def pieces(self, nodes: NDArray[np.int64], entries: int = PIECE) -> Iterator[tuple[int, int]]:
        """Ranges of nodes that together have at most ``entries`` incoming edges, or of one node that has more."""
        ends = (self.start[nodes + 1] - self.start[nodes]).cumsum()
        first = 0
        while first < len(nodes):
            before = ends[first - 1] if first else 0
            last = max(int(np.searchsorted(ends, before + entries, "right")), first + 1)
            yield first, last
            first = last


class Members:
    """Where nodes stand among some different nodes.

    A table by the last bits of a number, of fixed size, throws out most strangers before the others are searched for.

    Args:
        nodes: (R,) int64, different ones.
    """

    BITS = 21

    def __init__(self, nodes: NDArray[np.int64]) -> None:
        self.order = np.argsort(nodes)
        self.nodes = nodes[self.order]
        self.table = np.zeros(2**self.BITS, bool)
        self.table[nodes & (2**self.BITS - 1)] = True

    def __call__(self, wanted: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of the wanted (E,) are members, ascending, and the position of each of these: two (K,) arrays."""
        maybe = self.table[wanted & (2**self.BITS - 1)].nonzero()[0]
        at = np.searchsorted(self.nodes, wanted[maybe])
        at[at == len(self.nodes)] = 0
        same = self.nodes[at] == wanted[maybe]
        return maybe[same], self.order[at[same]]
