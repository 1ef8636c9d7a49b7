"""Weighted sums over the entries of sparse rows, with the transposed product as backward."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mmgraph.ops.pattern import Pattern


def aggregate(pattern: Pattern, values: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sum of the values that a row's entries point at: out[r] = sum over entries e of r of weight[e] * values[column[e]].

    Nothing of the size of entries x width is ever made, forwards or backwards: the gradient of the values is the
    transposed product, that of the weights a dot product an entry.

    Args:
        pattern: (R, M) places.
        values: (M, D) float.
        weight: (E,) of the same type; None for ones.

    Returns:
        (R, D); a row without entries is zero. Derivatives of second order are not defined.
    """
    if weight is None:
        weight = values.new_ones(len(pattern.column))
    return _Aggregate.apply(values.contiguous(), weight.to(values.dtype), pattern)


def _sums(index: Tensor, values: Tensor, start: Tensor, weight: Tensor) -> Tensor:
    return F.embedding_bag(index, values, start, mode="sum", per_sample_weights=weight, include_last_offset=True)


class _Aggregate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, pattern: Pattern) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(values, weight)
        return _sums(pattern.column, values, pattern.start, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        values, weight = ctx.saved_tensors
        pattern, gradient = ctx.pattern, gradient.contiguous()
        to_values = to_weight = None
        if ctx.needs_input_grad[0]:
            order, row, start = pattern.by_column
            to_values = _sums(row, gradient, start, weight.index_select(0, order))
        if ctx.needs_input_grad[1]:
            to_weight = _dots(pattern, gradient, values)
        return to_values, to_weight, None


def _dots(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """For every entry the dot product of its row of left and its column's row of right: (E,)."""
    fits = len(pattern.column) <= pattern.rows * pattern.columns  # repeated places may be more than torch's class holds
    if fits and left.device.type == "cpu" and left.dtype in (torch.float32, torch.float64):
        # Vectorised, where the kernel of embedding_bag calls a function of the linear algebra library an entry.
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", ".*beta state", UserWarning
            )  # of the class; this one function is what is used
            places = torch.sparse_csr_tensor(
                pattern.start,
                pattern.column,
                left.new_zeros(len(pattern.column)),
                (pattern.rows, pattern.columns),
                check_invariants=False,  # the columns of a row need not be sorted, and may repeat
            )
        torch.sparse.sampled_addmm(
            places, left, right.t(), beta=0.0, out=places
        )  # a copy could not hold repeated places
        return places.values()
    with torch.enable_grad():  # the kernel of the forward has one for this gradient
        leaf = left.new_ones(len(pattern.column)).requires_grad_()
        sums = _sums(pattern.column, right.detach(), pattern.start, leaf)
    (dots,) = torch.autograd.grad(sums, leaf, left)
    return dots
