"""From nodes to graphs."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from mmgraph.graph import Graphs


def pool_nodes(x: Tensor, graphs: Graphs, how: Literal["mean", "max", "sum"]) -> Tensor:
    """Values of nodes as values of graphs: (T, C) -> (B, C); zero for a graph without nodes."""
    index = graphs.graph_of_node[:, None].expand_as(x)
    reduce = {"mean": "mean", "max": "amax", "sum": "sum"}[how]
    return x.new_zeros(len(graphs), x.shape[1]).scatter_reduce(0, index, x, reduce, include_self=False)
