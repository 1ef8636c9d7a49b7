"""Graph attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.dropout import dropout
from mmgraph.layers.features import NodeFeatures
from mmgraph.ops import Pattern, aggregate, edge_softmax


class GATLayer(nn.Module):
    """One layer of graph attention, heads concatenated: (T, F) -> (R, heads * D).

    A single head that widens its input aggregates before it multiplies, which is the same function and moves less.

    Args:
        width: of the input F.
        out: of each head D.
        heads: number of heads H.
        feature_dropout: of the input.
        attention_dropout: of the coefficients.
        residual: add the input, after its dropout, projected where the widths differ.

    Shapes: ``forward(x, edges)``: ``x`` features or (T, F), ``edges`` a pattern with a row for every node wanted. Every
    row needs an entry, a self-loop say.

    Source: Veličković et al., "Graph Attention Networks", Eqs. 1 to 5; initialised as GraphMAE's official code does.
    """

    def __init__(
        self,
        width: int,
        out: int,
        heads: int,
        feature_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.out = heads, out
        self.feature_dropout, self.attention_dropout = feature_dropout, attention_dropout
        self.linear = nn.Linear(width, heads * out, bias=False)
        self.att_source = nn.Parameter(torch.empty(heads, out))
        self.att_target = nn.Parameter(torch.empty(heads, out))
        self.bias = nn.Parameter(torch.zeros(heads * out))
        self.residual: nn.Module | None = None
        if residual:
            self.residual = nn.Identity() if width == heads * out else nn.Linear(width, heads * out, bias=False)
            if isinstance(self.residual, nn.Linear):
                nn.init.xavier_normal_(self.residual.weight, gain=math.sqrt(2))
        # the official code keeps attention vectors as (1, H, D), which Xavier's rule takes for H * D inputs and D outputs
        for parameter in (self.linear.weight, self.att_source[None], self.att_target[None]):
            nn.init.xavier_normal_(parameter, gain=math.sqrt(2))

    def forward(self, x: NodeFeatures | Tensor, edges: Pattern) -> Tensor:
        rate = self.feature_dropout if self.training else 0.0
        added: Tensor | None = None  # the residual of all nodes, from the same dropped input as the values
        scores: Tensor | None = None
        if not isinstance(x, Tensor) and isinstance(self.residual, nn.Identity):
            x = x.dense()
        widens = self.heads == 1 and isinstance(x, Tensor) and x.shape[1] < self.out
        if widens:
            given = dropout(x, rate)  # type: ignore[arg-type]
            weight = self.linear.weight
            source, target = given @ (weight.t() @ self.att_source[0]), given @ (weight.t() @ self.att_target[0])
            summed = aggregate(edges, given, self._attention(source[:, None], target[:, None], edges))
            out = F.linear(summed, weight, self.bias)
        else:
            if isinstance(x, Tensor):
                given = dropout(x, rate)
                values, scores = self.linear(given), self._scores_of(given)
            elif isinstance(self.residual, nn.Linear):
                both = x.linear(torch.cat([self.linear.weight, self.residual.weight]), rate)
                values, added = both.chunk(2, 1)
            else:
                values = x.linear(self.linear.weight, rate)
            values = values.contiguous()
            source, target = self._scores(values) if scores is None else scores
            attention = self._attention(source, target, edges)
            summed = aggregate(edges.of_heads(self.heads), values.view(-1, self.out), attention)
            out = summed.view(self.heads, -1, self.out).transpose(0, 1).reshape(-1, self.heads * self.out)
            out = out + self.bias
        if self.residual is not None:
            added = self.residual(given) if added is None else added
            out = out + (added if edges.nodes is None else added[edges.nodes])
        return out

    def _scores(self, values: Tensor) -> Tensor:
        """Scores of both ends, (2, T, H), from what is summed, (T, H * D)."""
        with torch.autocast(values.device.type, enabled=False):  # scores keep their precision
            both = torch.stack([self.att_source, self.att_target])
            return torch.einsum("thd,shd->sth", values.to(both.dtype).view(-1, self.heads, self.out), both)

    def _scores_of(self, given: Tensor) -> Tensor:
        """The same from the input, (T, F): the attention vectors times the weight are 2 H more columns, no passes of width D."""
        with torch.autocast(given.device.type, enabled=False):  # a product of weights, and scores, keep their precision
            per_head = self.linear.weight.view(self.heads, self.out, -1)
            both = torch.stack([self.att_source, self.att_target])  # (2, H, D)
            weight = torch.einsum("shd,hdf->shf", both, per_head).flatten(0, 1)
            return F.linear(given.to(weight.dtype), weight).view(-1, 2, self.heads).transpose(0, 1)

    def _attention(self, source: Tensor, target: Tensor, edges: Pattern) -> Tensor:
        """(T, H) scores of both ends -> (H * E,) coefficients, one head after the other."""
        source, target = source.t().contiguous(), target.t().contiguous()
        scores = source.index_select(1, edges.column) + target.index_select(1, edges.target)
        scores = F.leaky_relu(scores, 0.2, inplace=True)
        share = edge_softmax(edges, scores)
        return dropout(share, self.attention_dropout, self.training).flatten()
