"""Graph isomorphism network."""

from __future__ import annotations

from torch import Tensor, nn

from core.batchnorm import BatchNorm
from core.prelu import PReLU
from mmgraph.layers.features import NodeFeatures
from mmgraph.ops import Pattern, aggregate


class GINLayer(nn.Module):
    """The node itself plus the sum over its incoming edges, through an MLP with batch norm and PReLU: (T, F) -> (R, C).

    Edges hold a self-loop in GraphMAE, so that a node counts itself twice.

    Source: Xu et al., "How Powerful are Graph Neural Networks?", Eq. 4.1 with epsilon 0, as in GraphMAE's official code.
    """

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.norm = BatchNorm(hidden)
        self.activation = PReLU()
        self.outer = nn.Linear(hidden, out)

    def forward(self, x: NodeFeatures | Tensor, edges: Pattern) -> Tensor:
        given = x if isinstance(x, Tensor) else x.dense()
        own = given if edges.nodes is None else given[edges.nodes]
        return self.outer(self.activation(self.norm(self.inner(own + aggregate(edges, given)))))
