"""Dropout whose random numbers cost little on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 1 << 16


class _Drop(torch.autograd.Function):
    """What is kept, scaled; only a byte an element, 1 or 0, is remembered."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        # products, not a choice by booleans: torch.where branches at every element, which takes five times as long
        return keep.to(x.dtype).mul_(x).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return keep.to(gradient.dtype).mul_(gradient).mul_(ctx.scale), None, None


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Values set to zero with probability ``p``, the others divided by 1 - p: any shape, floating dtype.

    As :func:`torch.nn.functional.dropout`, which draws a number for every element, one after another. Here, on a CPU,
    sixteen bits decide over an element, so that four come from one draw: a third of the time, forward and backward. ``p`` is
    rounded to a multiple of 2^-16 and the scale is that of the rounded probability, so the expected value is exactly ``x``.
    Numbers come from torch's default generator.

    Raises:
        ValueError: ``p`` outside 0 to 1.

    Source: Srivastava et al., "Dropout", JMLR 2014, Section 4.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability {p}: expected a number from 0 to 1")
    dropped = round(p * LEVELS)
    if not training or dropped == 0:
        return x
    if x.device.type != "cpu" or dropped == LEVELS or torch.compiler.is_compiling():
        return F.dropout(x, p)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    least = dropped - LEVELS // 2  # of what is kept
    # vectorised, which a comparison that makes booleans is not
    keep = draws.view(torch.int16)[: x.numel()].view(x.shape).clamp(least - 1, least).sub_(least - 1).to(torch.int8)
    return _Drop.apply(x, keep, LEVELS / (LEVELS - dropped))


class Dropout(nn.Module):
    """:func:`dropout` as a layer, active in training mode: any shape, floating dtype."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
