"""Graph convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.dropout import dropout
from mmgraph.layers.features import NodeFeatures
from mmgraph.ops import Pattern, aggregate


class GCNLayer(nn.Module):
    """A linear layer, and the sum over neighbours and the node itself, each divided by the root of both degrees.

    Args:
        width: of the input F.
        out: of the output C.

    Shapes: ``forward(x, edges, share)``: ``x`` features or (T, F), ``edges`` with one self-loop at every node, ``share``
    (E,) from :func:`symmetric_shares`, dropout of ``rate`` of the input; gives (T, C).

    Source: Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional Networks", Eq. 2.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, out, bias=False)
        self.bias = nn.Parameter(torch.zeros(out))
        nn.init.xavier_uniform_(self.linear.weight)

    def forward(self, x: NodeFeatures | Tensor, edges: Pattern, share: Tensor, rate: float = 0.0) -> Tensor:
        if isinstance(x, Tensor):
            values = self.linear(dropout(x, rate))
        else:
            values = x.linear(self.linear.weight, rate)
        return aggregate(edges, values, share) + self.bias


def symmetric_shares(edges: Pattern, weights: Tensor | None = None) -> Tensor:
    """(E,) float32, the weight of every edge over the root of the product of both ends' sums of incoming weights.

    Args:
        edges: with one self-loop at every node.
        weights: (E,) float32, not negative; None for ones, which makes the sums degrees. A node whose weights are all zero
            gives and gets nothing.
    """
    if weights is None:
        root = edges.start.diff().clamp(min=1).float().rsqrt()
        return root[edges.column] * root[edges.row]
    root = weights.new_zeros(edges.rows).index_add(0, edges.row, weights).rsqrt()
    root = root.masked_fill(root.isinf(), 0)
    return weights * root[edges.column] * root[edges.row]
