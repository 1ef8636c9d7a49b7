"""Graph isomorphism network."""

from __future__ import annotations

from torch import Tensor, nn

from core.dropout import dropout
from mmgraph.config import GraphEncoderConfig
from mmgraph.layers.features import NodeFeatures
from mmgraph.layers.norm_act import new_activation, new_norm
from mmgraph.ops import Pattern, aggregate


class GINLayer(nn.Module):
    """The node itself plus the sum over its incoming edges, through an MLP with norm and activation: (T, F) -> (R, C).

    Edges hold a self-loop in GraphMAE, so that a node counts itself twice. In training the input is under dropout.

    Args:
        width: of the input F.
        out: of the output C.
        config: hidden width of the MLP, its norm and activation, dropout of the input.

    Source: Xu et al., "How Powerful are Graph Neural Networks?", Eq. 4.1 with epsilon 0, as in graphmae/models/gin.py of
    GraphMAE's official code.
    """

    def __init__(self, width: int, out: int, config: GraphEncoderConfig) -> None:
        super().__init__()
        self.feature_dropout = config.feature_dropout
        self.inner = nn.Linear(width, config.dim)
        self.norm = new_norm(config)
        self.activation = new_activation(config)
        self.outer = nn.Linear(config.dim, out)

    def forward(self, x: NodeFeatures | Tensor, edges: Pattern) -> Tensor:
        given = dropout(x if isinstance(x, Tensor) else x.dense(), self.feature_dropout, self.training)
        own = given if edges.nodes is None else given[edges.nodes]
        return self.outer(self.activation(self.norm(self.inner(own + aggregate(edges, given)))))
