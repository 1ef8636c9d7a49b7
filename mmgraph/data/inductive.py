"""Graphs in three parts, so that what is scored has never been seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.data.sets import check_classes, check_graph, check_kinds
from mmgraph.graph import Graphs, join

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class InductivePart:
    """Graphs and the labels of their nodes: one tensor a graph, (N,) int64 with -1 for none, or (N, K) float32 of 0 and 1."""

    graphs: tuple[Graphs, ...]
    labels: tuple[Tensor, ...]


@dataclass(frozen=True)
class InductiveSet:
    """Graphs to learn from, graphs to choose by, graphs to be scored on. Pretraining sees the first only.

    A graph may be in two parts with other nodes labelled in each.
    """

    name: str
    train: InductivePart
    val: InductivePart
    test: InductivePart

    def __post_init__(self) -> None:
        kinds = {tuple(y.shape[1:]) for part in self.parts for y in part.labels}
        for name, part in zip(PARTS, self.parts, strict=True):
            where = f"{self.name}, {name}"
            if not part.graphs:
                raise UserError(f"{where}: no graphs")
            if len(part.graphs) != len(part.labels):
                raise UserError(f"{where}: labels of {len(part.labels)} graphs for {len(part.graphs)}")
            for number, (graph, labels) in enumerate(zip(part.graphs, part.labels, strict=True)):
                check_graph(f"{where} graph {number}", graph, edges=False)
                if len(labels) != len(graph.x):
                    raise UserError(f"{where} graph {number}: {len(labels)} labels for {len(graph.x)} nodes")
            if not any(bool((labels >= 0).any()) for labels in part.labels):
                raise UserError(f"{where}: no node has a label")
        nodes = sum(len(graph.x) for part in self.parts for graph in part.graphs)
        for name, part in zip(PARTS, self.parts, strict=True):
            for number, labels in enumerate(part.labels):
                if labels.ndim == 1:
                    check_classes(f"{self.name}, {name} graph {number}", "node", labels, nodes)
        if len(kinds) > 1:
            raise UserError(f"{self.name}: labels of shapes {sorted(kinds)} a node; expected the same in all parts")
        check_kinds(self.name, [graph.x for part in self.parts for graph in part.graphs])
        widths = {graph.x.shape[1] for part in self.parts for graph in part.graphs}
        if len(widths) > 1:
            raise UserError(f"{self.name}: {sorted(widths)} features a node; expected as many in all graphs")

    @property
    def parts(self) -> tuple[InductivePart, InductivePart, InductivePart]:
        """Train, val, test."""
        return self.train, self.val, self.test

    @property
    def several(self) -> bool:
        """Whether a node has several labels, which are scored by F1, or one class."""
        return self.train.labels[0].ndim == 2

    @property
    def classes(self) -> int:
        """Classes of a node, or labels that a node may have."""
        if self.several:
            return self.train.labels[0].shape[1]
        return 1 + max(int(labels.max()) for part in self.parts for labels in part.labels)

    def __len__(self) -> int:
        """Graphs to learn from."""
        return len(self.train.graphs)

    def sample(self, index: int, generator: torch.Generator) -> Graphs:
        return self.train.graphs[index]

    def collate(self, samples: Sequence[Graphs]) -> Graphs:
        return join(samples)
