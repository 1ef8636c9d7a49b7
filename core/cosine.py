"""Cosine similarity of rows, with a gradient that keeps no copy of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 1 << 17  # numbers, half a megabyte
EPS = 1e-8  # shorter vectors count as being this long


class _Cosine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        lengths = [x.norm(dim=-1).clamp(min=EPS) for x in (first, second)]
        cosine = _dots(first, second) / (lengths[0] * lengths[1])
        ctx.save_for_backward(first, second, cosine, *lengths)
        return cosine

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        first, second, cosine, *lengths = ctx.saved_tensors
        shared = gradient / (lengths[0] * lengths[1])

        def side(own: Tensor, other: Tensor, length: Tensor) -> Tensor:
            own_part = torch.where(length > EPS, gradient * cosine / length.square(), 0.0)
            return (shared.unsqueeze(-1) * other).addcmul_(own_part.unsqueeze(-1), own, value=-1)

        wanted = ctx.needs_input_grad
        return (
            side(first, second, lengths[0]) if wanted[0] else None,
            side(second, first, lengths[1]) if wanted[1] else None,
        )


def _dots(first: Tensor, second: Tensor) -> Tensor:
    """Dot products of rows: (..., C), (..., C) -> (...); on a CPU in blocks, as vecdot writes all products first."""
    if first.device.type != "cpu" or first.ndim < 2:
        return torch.linalg.vecdot(first, second)
    rows = max(1, BLOCK * len(first) // max(1, first.numel()))
    pairs = zip(first.split(rows), second.split(rows), strict=True)
    return torch.cat([torch.linalg.vecdot(*pair) for pair in pairs])


def cosine_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of the angle between rows: (..., C), (..., C) -> (...), float32 or float64; dimensions broadcast.

    The same values as ``torch.nn.functional.cosine_similarity`` gives, which keeps normalised copies of both sides for the
    gradient; this keeps none. Second derivatives are not there.
    """
    first, second = torch.broadcast_tensors(first, second)
    if first.dtype != second.dtype or first.dtype in (torch.float16, torch.bfloat16):
        first, second = first.float(), second.float()
    return _Cosine.apply(first, second)
