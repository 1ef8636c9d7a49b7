"""Small graphs that bring degrees and shortest paths with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.errors import UserError
from mmgraph.data.sets import GraphSet
from mmgraph.graph import Graphs
from mmgraph.structure import StructuredGraphs, join_structured, with_structure


class StructuredSet:
    """The graphs of a set with their structure, searched once a graph when it is first asked for.

    Args:
        data: the set; it stays as it is.
        largest: graphs with more nodes are left out; None for none.

    Raises:
        UserError: all graphs are larger.
    """

    def __init__(self, data: GraphSet, largest: int | None = None) -> None:
        self.graphs = [g for g in data.graphs if largest is None or len(g.x) <= largest]
        if not self.graphs:
            raise UserError(f"{data.name}: no graph of at most {largest} nodes; raise model.largest")
        self._known: dict[int, StructuredGraphs] = {}

    def __len__(self) -> int:
        return len(self.graphs)

    def sample(self, index: int, generator: torch.Generator) -> StructuredGraphs:
        if index not in self._known:
            self._known[index] = with_structure(self.graphs[index])
        return self._known[index]

    def collate(self, samples: Sequence[Graphs]) -> StructuredGraphs:
        return join_structured(samples)
