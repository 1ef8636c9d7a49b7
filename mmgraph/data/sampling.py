"""Training subgraphs of one graph that is too large for a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from core.random import generator
from mmgraph.config import SamplingConfig
from mmgraph.data.neighbours import Neighbours
from mmgraph.graph import Graphs, join


class SampledGraph:
    """One large graph as training samples: each is the union of drawn neighbourhoods of a few roots.

    A sample has the roots, first, and the nodes drawn around them, with *all* edges of the graph among these: a hidden
    node at the rim can be reconstructed from what it is joined to, and both directions of an edge are there.

    Roots are dealt by a random partition of the nodes that ``seed`` draws once, so that an epoch has every node as a root
    exactly once. The partition stays; the order of its parts and the neighbours are drawn afresh each epoch.

    Nothing of the size of the graph is made but the compressed rows of its edges and the partition. Features are gathered
    row by row from where they are, which may be a memory map.

    Args:
        graph: one graph, its features and edges on the CPU.
        config: roots a sample (at least 4) and fan-outs.
        seed: of the partition.

    Source: Hamilton et al., "Inductive Representation Learning on Large Graphs", Section 3.1 (uniform neighbours), with
    edges induced as on the local clusters of Hou et al., "GraphMAE2", Section 3.3.
    """

    def __init__(self, graph: Graphs, config: SamplingConfig, seed: int) -> None:
        if config.roots == 0:
            raise ValueError("roots 0 asks for the whole graph, which needs no sampling")
        self.graph = graph
        self.config = config
        self.neighbours = Neighbours.of_graph(graph)
        self.order = torch.randperm(len(graph.x), generator=generator(seed, "roots")).numpy()

    def __len__(self) -> int:
        """Samples an epoch."""
        return -(-len(self.order) // self.config.roots)

    def roots(self, index: int) -> NDArray[np.int64]:
        """The roots of a sample; their numbers differ by one at most."""
        first, last = (len(self.order) * at // len(self) for at in (index, index + 1))
        return self.order[first:last]

    def sample(self, index: int, generator: torch.Generator) -> Graphs:
        roots = self.roots(index)
        return self.subgraph(self.neighbours.around(roots, self.config.fanouts, generator), len(roots))

    def subgraph(self, nodes: NDArray[np.int64], roots: int) -> Graphs:
        """The graph induced by different nodes, of which the first ``roots`` are its roots; without weights of edges."""
        edges, place = self.neighbours.induced(nodes)
        attributes = None
        if self.graph.edge_attr is not None:
            assert self.neighbours.edge is not None
            attributes = self.graph.edge_attr[torch.from_numpy(self.neighbours.edge[place])]
        x = self.graph.x[torch.from_numpy(nodes)]
        return Graphs(x, torch.from_numpy(edges), None, attributes, torch.arange(roots))

    def collate(self, samples: Sequence[Graphs]) -> Graphs:
        return join(samples)
