"""The parts of labelled data that a classifier is trained, selected and scored on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError
from core.random import generator
from mmgraph.data.ego import EgoSet
from mmgraph.data.inductive import InductiveSet
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.splits import split_graphs
from mmgraph.graph import Graphs, join


class Labelled(NamedTuple):
    """Graphs and the labels of their nodes (T,), or of the graphs (B,); -1 is not looked at."""

    graphs: Graphs
    labels: Tensor


@dataclass(frozen=True)
class LabelledNodes:
    """The whole graph with the labels of some of its nodes: one sample."""

    data: NodeSet
    nodes: Tensor

    @property
    def classes(self) -> int:
        return self.data.classes

    @property
    def count(self) -> int:
        """Nodes with a label."""
        return len(self.nodes)

    def __len__(self) -> int:
        return 1

    def sample(self, index: int, generator: torch.Generator) -> Labelled:
        labels = torch.full_like(self.data.labels, -1)
        labels[self.nodes] = self.data.labels[self.nodes]
        return Labelled(self.data.graph, labels)

    def collate(self, samples: Sequence[Labelled]) -> Labelled:
        return samples[0]

    def batches(self, size: int) -> Iterator[Labelled]:
        """The one sample."""
        yield self.sample(0, torch.Generator())


@dataclass(frozen=True)
class LabelledEgos:
    """Some of the nodes of a graph, each the root of an ego-graph, which is a sample and drawn anew every time.

    Args:
        nodes: that have a label.
        egos: of the same graph.
    """

    nodes: LabelledNodes
    egos: EgoSet

    @property
    def data(self) -> NodeSet:
        return self.nodes.data

    @property
    def classes(self) -> int:
        return self.nodes.classes

    @property
    def count(self) -> int:
        """Nodes with a label."""
        return self.nodes.count

    def __len__(self) -> int:
        return self.nodes.count

    def sample(self, index: int, generator: torch.Generator) -> Labelled:
        root = int(self.nodes.nodes[index])
        ego = self.egos.sample(root, generator)
        labels = torch.full((len(ego.x),), -1)
        labels[0] = self.data.labels[root]
        return Labelled(ego, labels)

    def collate(self, samples: Sequence[Labelled]) -> Labelled:
        return Labelled(self.egos.collate([s.graphs for s in samples]), torch.cat([s.labels for s in samples]))

    def batches(self, size: int) -> Iterator[Labelled]:
        """All of them in order, always the same draws."""
        return in_order(self, size)


@dataclass(frozen=True)
class LabelledGraphs:
    """Some of the graphs of a set, each a sample."""

    data: GraphSet
    indices: NDArray[np.int64]

    @property
    def classes(self) -> int:
        return int(self.data.labels.max()) + 1

    @property
    def count(self) -> int:
        """Graphs with a label."""
        return len(self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def sample(self, index: int, generator: torch.Generator) -> Labelled:
        at = self.indices[index]
        return Labelled(self.data.graphs[at], torch.tensor([int(self.data.labels[at])]))

    def collate(self, samples: Sequence[Labelled]) -> Labelled:
        return Labelled(join([s.graphs for s in samples]), torch.cat([s.labels for s in samples]))

    def batches(self, size: int) -> Iterator[Labelled]:
        """All of them in order."""
        return in_order(self, size)


def in_order(part: LabelledEgos | LabelledGraphs, size: int) -> Iterator[Labelled]:
    """All samples of a part, so many a batch; what is drawn is the same every time."""
    for start in range(0, len(part), size):
        indices = range(start, min(start + size, len(part)))
        yield part.collate([part.sample(i, generator(i, "ego")) for i in indices])


Part = LabelledNodes | LabelledEgos | LabelledGraphs


def as_egos(parts: tuple[Part, Part, Part], sizes: Sequence[int]) -> tuple[Part, Part, Part]:
    """Parts of nodes as the roots of ego-graphs of so many neighbours a hop; parts of graphs as they are."""
    first = parts[0]
    if not isinstance(first, LabelledNodes):
        return parts
    egos = EgoSet(first.data.graph, sizes)
    train, validation, test = (LabelledEgos(part, egos) if isinstance(part, LabelledNodes) else part for part in parts)
    return train, validation, test


def check_training_nodes(data: NodeSet, source: str) -> None:
    """See that there is something to tell apart.

    Raises:
        UserError: all nodes of the training part have one class.
    """
    if len(data.labels[data.train].unique()) < 2:
        raise UserError(f"{source}: all training nodes have one class; classification needs at least two")


def labelled_parts(
    data: NodeSet | GraphSet | InductiveSet, task: Literal["nodes", "graphs"], seed: int, source: str
) -> tuple[Part, Part, Part]:
    """Train, validation and test part: of nodes the data's own, of graphs stratified parts of 80, 10 and 10 % by seed.

    Raises:
        UserError: the data has labels of the other kind, of one class, or too few of them, or comes in three parts of graphs.
    """
    if isinstance(data, InductiveSet):
        raise UserError(f"{source}: graphs in three parts are probed, not fine-tuned on; expected one graph, or many")
    if isinstance(data, NodeSet):
        if not data.labelled:
            raise UserError(f"{source}: its nodes have no labels; expected some to fine-tune on")
        if task != "nodes":
            raise UserError(
                f"{source}: its nodes have labels, and task is {task}; --recipe finetune_nodes is for these"
            )
        check_training_nodes(data, source)
        return LabelledNodes(data, data.train), LabelledNodes(data, data.val), LabelledNodes(data, data.test)
    if task != "graphs":
        raise UserError(f"{source}: its graphs have labels, and task is {task}; --recipe finetune_graphs is for these")
    if not np.issubdtype(data.labels.dtype, np.integer):
        raise UserError(f"{source}: labels of type {data.labels.dtype}; expected classes as integers")
    if not (data.labels >= 0).any():
        raise UserError(f"{source}: its graphs have no labels; expected some to fine-tune on")
    parts = [LabelledGraphs(data, indices) for indices in split_graphs(data.labels, seed)]
    if len(np.unique(data.labels[data.labels >= 0])) < 2:
        raise UserError(f"{source}: all graphs have one class; classification needs at least two")
    for name, part in zip(("train", "validation", "test"), parts, strict=True):
        if not len(part):
            raise UserError(f"{source}: no graphs for the {name} part; expected a class with three or more")
    train, val, test = parts
    return train, val, test
