"""What is learned from: one graph whose nodes have labels, or many graphs that have one each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.graph import Graphs, join

ROWS = 2**16  # of features that are looked at together, which may be a memory map


@dataclass(frozen=True)
class NodeSet:
    """One graph and the labels of its nodes.

    ``labels`` (T,) int64, -1 for none; ``train``, ``val``, ``test`` are node indices of the public split. A graph
    without any label has empty parts: it can be learned from and not be scored.
    """

    name: str
    graph: Graphs
    labels: Tensor
    train: Tensor
    val: Tensor
    test: Tensor

    def __post_init__(self) -> None:
        check_graph(self.name, self.graph)
        if len(self.labels) != len(self.graph.x):
            raise UserError(
                f"{self.name}: {len(self.labels)} labels for {len(self.graph.x)} nodes; expected one a node"
            )
        check_classes(self.name, "node", self.labels, len(self.labels))
        if not self.labelled and not any(len(part) for part in (self.train, self.val, self.test)):
            return
        for part in ("train", "val", "test"):
            nodes = getattr(self, part)
            if nodes.numel() == 0:
                known = int((self.labels >= 0).sum())
                raise UserError(
                    f"{self.name}: no nodes in its {part} part, of {known} with a label: an empty mask, or too few for a random "
                    "split. A graph without labels can be learned from"
                )
            inside = 0 <= int(nodes.min()) <= int(nodes.max()) < len(self.labels)
            if not inside or int(self.labels[nodes].min()) < 0:
                raise UserError(f"{self.name}: its {part} part has nodes without a label, or that are not in the graph")
        if len(self.labels[self.labels >= 0].unique()) < 2:
            raise UserError(f"{self.name}: all nodes have one class; classification needs at least two")
        every = torch.cat([self.train, self.val, self.test])
        if len(every.unique()) < len(every):
            raise UserError(f"{self.name}: nodes that are in two of train, val and test, or twice in one")

    @property
    def labelled(self) -> bool:
        """Whether any node has a label."""
        return bool((self.labels >= 0).any())

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    def __len__(self) -> int:
        """One sample: the whole graph."""
        return 1

    def sample(self, index: int, generator: torch.Generator) -> Graphs:
        return self.graph

    def collate(self, samples: Sequence[Graphs]) -> Graphs:
        return join(samples)


@dataclass(frozen=True)
class GraphSet:
    """Many graphs with a label each: ``labels`` (B,) int64."""

    name: str
    graphs: tuple[Graphs, ...]
    labels: np.ndarray

    def __post_init__(self) -> None:
        if not self.graphs:
            raise UserError(f"{self.name}: no graphs")
        for number, graph in enumerate(self.graphs):
            check_graph(f"{self.name}, graph {number}", graph, edges=False)
        widths = {graph.x.shape[1] for graph in self.graphs}
        if len(widths) > 1:
            raise UserError(f"{self.name}: {sorted(widths)} features a node; expected as many in all graphs")
        if all(len(graph.x) < 2 for graph in self.graphs):
            raise UserError(f"{self.name}: all graphs are single nodes; expected some with two at least")
        check_kinds(self.name, [graph.x for graph in self.graphs])
        for what in ("edge_attr", "edge_weight"):
            if len({getattr(graph, what) is None for graph in self.graphs}) > 1:
                raise UserError(f"{self.name}: some of its graphs have {what}, others have none")
        columns = {graph.edge_attr.shape[1] for graph in self.graphs if graph.edge_attr is not None}
        if len(columns) > 1:
            raise UserError(f"{self.name}: {sorted(columns)} categories an edge; expected as many in all graphs")
        if len(self.labels) != len(self.graphs):
            raise UserError(
                f"{self.name}: {len(self.labels)} labels for {len(self.graphs)} graphs; expected one a graph"
            )
        if np.issubdtype(self.labels.dtype, np.integer):
            check_classes(self.name, "graph", torch.from_numpy(self.labels), len(self.graphs))

    def __len__(self) -> int:
        return len(self.graphs)

    def sample(self, index: int, generator: torch.Generator) -> Graphs:
        return self.graphs[index]

    def collate(self, samples: Sequence[Graphs]) -> Graphs:
        return join(samples)


def check_kinds(name: str, features: Sequence[Tensor]) -> None:
    """See that nodes of all graphs have features, or those of all have categories.

    Raises:
        UserError: two types.
    """
    other = next((at for at, x in enumerate(features) if x.dtype != features[0].dtype), None)
    if other is not None:
        raise UserError(
            f"{name}: x of graph 0 is {features[0].dtype}, that of graph {other} {features[other].dtype}; expected one type"
        )


def check_classes(name: str, kind: str, labels: Tensor, most: int) -> None:
    """See that classes (N,) are numbers that can be counted to: some stray large one would make as many outputs.

    Args:
        name: the data.
        kind: what has a class: node, graph.
        most: classes that there can be.

    Raises:
        UserError: a class that is not below ``most``.
    """
    if len(labels) and int(labels.max()) >= most:
        at = int(labels.argmax())
        raise UserError(
            f"{name}: {kind} {at} has class {int(labels[at])}; expected classes from 0 on, "
            f"and no more of them than the {most} {kind}s"
        )


def check_graph(name: str, graph: Graphs, edges: bool = True) -> None:
    """See that a graph can be learned from.

    Args:
        edges: it must have an edge between two nodes; among many graphs one may have none.

    Raises:
        UserError: no nodes, no edges, an edge to a node that is not there, or features or weights that are not finite.
    """
    nodes = len(graph.x)
    if nodes == 0 or graph.x.shape[1] == 0:
        raise UserError(f"{name}: {nodes} nodes with {graph.x.shape[1]} features; expected some of both")
    index = graph.edge_index
    if edges and not bool((index[0] != index[1]).any()):
        raise UserError(f"{name}: no edge between two nodes; expected a graph")
    if index.numel() and (int(index.min()) < 0 or int(index.max()) >= nodes):
        raise UserError(
            f"{name}: edges name nodes {int(index.min())} to {int(index.max())}; there are 0 to {nodes - 1}"
        )
    weight = graph.edge_weight
    if weight is not None and not bool((weight.isfinite() & (weight >= 0)).all()):
        raise UserError(f"{name}: edge weights that are NaN, infinite or negative; expected numbers of at least 0")
    bad = sum(int((~rows.isfinite().all(1)).sum()) for rows in graph.x.split(ROWS))
    if bad:
        raise UserError(f"{name}: NaN or infinite features at {bad} of {nodes} nodes")
