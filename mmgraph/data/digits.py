"""Demo data that is there with scikit-learn: handwritten digits as a graph of neighbours."""

from __future__ import annotations

import torch

from mmgraph.data.sets import NodeSet
from mmgraph.data.splits import split_nodes
from mmgraph.graph import Graphs

NEIGHBOURS = 8


def digits(seed: int = 0) -> NodeSet:
    """1,797 real scanned digits of 8 x 8 pixels; an edge joins two of which one is among the other's 8 nearest.

    The graph comes from the features, so it holds nothing that they do not. Made undirected; 5 % of the nodes train, 10 %
    val, 85 % test.
    """
    from sklearn.datasets import load_digits
    from sklearn.neighbors import kneighbors_graph

    data = load_digits()
    nearest = kneighbors_graph(data.data, NEIGHBOURS)
    source, target = (nearest + nearest.T).nonzero()
    labels = torch.from_numpy(data.target).long()
    x = torch.from_numpy(data.data).float() / 16
    edges = torch.stack([torch.from_numpy(source).long(), torch.from_numpy(target).long()])
    return NodeSet("digits", Graphs(x, edges), labels, *split_nodes(labels, seed, 0.05, 0.1))
