"""One large graph as many small ones: a node and some of what is around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mmgraph.data.edges import distinct
from mmgraph.data.neighbours import Neighbours
from mmgraph.graph import Graphs, join
from mmgraph.structure import StructuredGraphs, with_structure

Ints = NDArray[np.int64]


class Ego(NamedTuple):
    """``nodes`` (n,) of the large graph, the root first; ``row`` and ``column`` (e,), edges from column to row in ``nodes``."""

    nodes: Ints
    row: Ints
    column: Ints


class EgoSet:
    """The ego-graphs of all nodes of a graph; every sample draws its neighbours anew.

    Args:
        graph: one graph; it stays as it is.
        sizes: neighbours to draw, by hop; a node with fewer gives all it has.

    Source: data.py of GMAE's official code for nodes, which draws by torch_geometric's NeighborSampler.
    """

    def __init__(self, graph: Graphs, sizes: Sequence[int]) -> None:
        self.graph = graph
        self.sizes = tuple(sizes)
        # a neighbour is one, however many edges lead to it
        once = torch.from_numpy(distinct(graph.edge_index.cpu().numpy()))
        self.neighbours = Neighbours.of_graph(Graphs(graph.x.cpu(), once))

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self.graph.x)

    def sample(self, index: int, generator: torch.Generator) -> Graphs:
        """The ego-graph of a node, its edges both ways; the node itself is its first."""
        ego = draw_ego(self.neighbours, index, self.sizes, generator)
        ends = np.concatenate([np.stack([ego.row, ego.column]), np.stack([ego.column, ego.row])], 1)
        size = len(ego.nodes)
        source, target = np.divmod(np.unique(ends[0] * size + ends[1]), size)
        x = self.graph.x
        return Graphs(x[torch.from_numpy(ego.nodes).to(x.device)], torch.from_numpy(np.stack([source, target])))

    def collate(self, samples: Sequence[Graphs]) -> StructuredGraphs:
        return with_structure(join(samples))


def draw_ego(neighbours: Neighbours, root: int, sizes: Sequence[int], generator: torch.Generator) -> Ego:
    """Draw the surroundings of a node, hop by hop.

    At every hop *each* node found so far draws neighbours anew, the root among them; only the edges of the last hop's
    draws are kept, as in the official code. So a root with more neighbours than it may draw can lose the edge to one that
    it drew first.

    Args:
        neighbours: of every node of the large graph.
        root: where to begin.
        sizes: most neighbours to draw for a node, by hop.
        generator: on the CPU.
    """
    nodes = np.array([root], dtype=np.int64)
    row = there = np.zeros(0, dtype=np.int64)
    for size in sizes:
        row, place = neighbours.draw(nodes, size, generator)
        neighbour = neighbours.source[place].astype(np.int64)
        _, first, inverse = np.unique(np.concatenate([nodes, neighbour]), return_index=True, return_inverse=True)
        rank = first.argsort().argsort()  # in the order in which they were found
        local = rank[inverse.ravel()]
        there = local[len(nodes) :]
        nodes = np.concatenate([nodes, neighbour])[np.sort(first)]
    return Ego(nodes, row, there)
