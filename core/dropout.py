"""Dropout whose random numbers cost little on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 1 << 16


class _Drop(torch.autograd.Function):
    """What is kept, scaled; only the booleans are remembered."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return torch.where(keep, x, 0.0).mul_(scale)  # a product with booleans writes them out as numbers first

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return torch.where(keep, gradient, 0.0).mul_(ctx.scale), None, None


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Values set to zero with probability ``p``, the others divided by 1 - p: any shape, floating dtype.

    As :func:`torch.nn.functional.dropout`, which draws a number for every element, one after another. Here, on a CPU,
    sixteen bits decide over an element, so that four come from one draw: half the time, forward and backward. ``p`` is rounded
    to a multiple of 2^-16 and the scale is that of the rounded probability, so the expected value is exactly ``x``. Numbers come
    from torch's default generator.

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
    keep = draws.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - LEVELS // 2
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
