"""Small graphs that bring degrees and shortest paths with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mmgraph.data.sets import GraphSet
from mmgraph.graph import Graphs
from mmgraph.structure import StructuredGraphs, join_structured, with_structure


class StructuredSet:
    """The graphs of a set with their structure, searched once a graph when it is first asked for.

    Args:
        data: the set; it stays as it is.
    """

    def __init__(self, data: GraphSet) -> None:
        self.data = data
        self._known: dict[int, StructuredGraphs] = {}

    def __len__(self) -> int:
        return len(self.data)

    def sample(self, index: int, generator: torch.Generator) -> StructuredGraphs:
        if index not in self._known:
            self._known[index] = with_structure(self.data.graphs[index])
        return self._known[index]

    def collate(self, samples: Sequence[Graphs]) -> StructuredGraphs:
        return join_structured(samples)
