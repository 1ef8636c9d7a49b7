"""Softmax over the incoming edges of every node."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmgraph.ops.pattern import Pattern


def edge_softmax(pattern: Pattern, scores: Tensor) -> Tensor:
    """Softmax of scores within each row of a pattern: (H, E) -> (H, E), edges in the pattern's order.

    Source: Veličković et al., "Graph Attention Networks", Eq. 2.
    """
    return _EdgeSoftmax.apply(scores, pattern)


class _EdgeSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, pattern: Pattern) -> Tensor:
        row = pattern.row.expand_as(scores)
        highest = scores.new_full((len(scores), pattern.rows), -torch.inf).scatter_reduce_(1, row, scores, "amax")
        exponents = (scores - highest.gather(1, row)).exp_()
        total = exponents.new_zeros(len(scores), pattern.rows).scatter_add_(1, row, exponents)
        share = exponents / total.gather(1, row)
        ctx.pattern = pattern
        ctx.save_for_backward(share)
        return share

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (share,) = ctx.saved_tensors
        row = ctx.pattern.row.expand_as(share)
        weighted = share * gradient
        total = weighted.new_zeros(len(share), ctx.pattern.rows).scatter_add_(1, row, weighted)
        return weighted - share * total.gather(1, row), None
