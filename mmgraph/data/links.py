"""A graph whose edges are split, for link prediction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.random import generator
from mmgraph.config.links import LinksConfig
from mmgraph.data.sets import NodeSet
from mmgraph.graph import Graphs, join
from mmgraph.non_edges import draw_distinct_non_edges


@dataclass(frozen=True)
class ScoredPairs:
    """The graph that may be looked at, and the pairs to score on it: ``edges`` and ``others`` (2, P) int64 each."""

    graph: Graphs
    edges: Tensor
    others: Tensor


@dataclass(frozen=True)
class LinkSplit:
    """What is trained on, and the pairs of validation and test. As training data it has one sample, the whole graph."""

    train: Graphs
    val: ScoredPairs
    test: ScoredPairs

    def __len__(self) -> int:
        return 1

    def sample(self, index: int, generator: torch.Generator) -> Graphs:
        return self.train

    def collate(self, samples: Sequence[Graphs]) -> Graphs:
        return join(samples)


def split_links(data: NodeSet, config: LinksConfig, seed: int) -> LinkSplit:
    """Split the undirected edges of a graph at random, each with both directions in the same part.

    A pair is given in the direction that its edge has; one that goes both ways from the lower node to the higher.

    Validation looks at the edges of training, the test at those of training and, as ``test_sees`` says, of validation. As
    many pairs that are no edges of any part are drawn beside those of each, none of them twice.

    Args:
        seed: of the split and of the pairs.

    Raises:
        UserError: too few edges for every part to have one, or too few pairs that are none.

    Source: RandomLinkSplit in torch_geometric, which MaskGAE uses; the parts are rounded down. mgae_main_planetoid.py of MGAE,
    whose test sees the edges of training only.
    """
    graph, source = data.graph, generator(seed, "links")
    pair, keys = graph.pairs
    count = len(keys)
    val, test = int(config.val * count), int(config.test * count)
    if min(val, test) < 1 or count - val - test < 2:
        raise UserError(
            f"{data.name}: {count} edges give {val} to validate and {test} to test; expected some of each, and two to train on"
        )
    order = torch.randperm(count, generator=source)
    part = torch.zeros(count + 1, dtype=torch.int64)  # the last is that of self-loops, which stay in training
    part[order[:val]], part[order[val : val + test]] = 1, 2
    part = part[pair]
    others = draw_distinct_non_edges(graph, val + test, source)
    if others.shape[1] < val + test:
        raise UserError(f"{data.name}: nearly all pairs of nodes are edges; {val + test} that are none were wanted")
    ends = torch.stack([keys // len(graph.x), keys % len(graph.x)])
    upwards = torch.zeros(count + 1, dtype=torch.bool)
    upwards[pair[(graph.edge_index[0] < graph.edge_index[1]).cpu()]] = True
    ends = torch.where(upwards[:count], ends, ends.flip(0))
    train = _kept(graph, part < 1)
    return LinkSplit(
        graph if config.train_on_all else train,
        ScoredPairs(train, ends[:, order[:val]], others[:, :val]),
        ScoredPairs(
            _kept(graph, part < 2) if config.test_sees == "train and val" else train,
            ends[:, order[val : val + test]],
            others[:, val:],
        ),
    )


def edges_digest(graph: Graphs) -> str:
    """SHA-256 of the number of nodes and the undirected edges: of equal ones a seed sets the same aside."""
    numbers = torch.cat([torch.tensor([len(graph.x)]), graph.pairs[1]]).numpy()
    return hashlib.sha256(np.ascontiguousarray(numbers, dtype="<i8").tobytes()).hexdigest()


def _kept(graph: Graphs, keep: Tensor) -> Graphs:
    attributes = None if graph.edge_attr is None else graph.edge_attr[keep]
    weight = None if graph.edge_weight is None else graph.edge_weight[keep]
    return Graphs(graph.x, graph.edge_index[:, keep], graph.offsets, attributes, edge_weight=weight)
