"""A linear layer on all points of a patch followed by the maximum over the points."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

CHUNK = 16  # patches


def linear_max(points: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Largest value over the points of every feature: max over k of ``points[:, k] @ weight.T + bias``.

    A feature's gradient reaches one point of a patch. On the CPU the backward pass reads and writes these rows only: of
    the arithmetic of two dense products, one part in K. On other devices and in reduced precision it is the plain
    composition, whose dense products are faster there.

    Args:
        points: (P, K, D) float.
        weight: (C, D).
        bias: (C,).

    Returns:
        (P, C). Where points tie, the gradient goes to the one whose index ``torch.max`` gives. Derivatives of second
        order are not defined on the CPU.
    """
    if points.device.type != "cpu" or points.dtype not in (torch.float32, torch.float64) or _autocast(points):
        return F.linear(points.flatten(0, 1), weight, bias).view(*points.shape[:2], -1).max(1).values
    return _LinearMax.apply(points, weight, bias)


def _autocast(points: Tensor) -> bool:
    return torch.is_autocast_enabled(points.device.type)


class _LinearMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        parts = [F.linear(part, weight).max(1) for part in points.split(CHUNK)]  # what is maximised stays in the cache
        values, winner = torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])
        ctx.save_for_backward(points, weight, winner)
        return values + bias

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        points, weight, winner = ctx.saved_tensors
        patches, size, width = points.shape
        features = gradient.shape[1]
        row = winner + size * torch.arange(patches)[:, None]  # of the flattened points
        to_points = to_weight = None
        if ctx.needs_input_grad[0]:
            order = winner.to(torch.uint8 if size <= 256 else torch.int64).argsort(
                dim=1, stable=True
            )  # features by point
            counts = torch.bincount(row.flatten(), minlength=patches * size)
            to_points = F.embedding_bag(
                order.flatten(),
                weight,
                counts.cumsum(0) - counts,
                mode="sum",
                per_sample_weights=gradient.gather(1, order).flatten(),
            ).view(points.shape)
        if ctx.needs_input_grad[1]:
            to_weight = F.embedding_bag(
                row.t().contiguous(),
                points.reshape(patches * size, width),
                mode="sum",
                per_sample_weights=gradient.t().contiguous(),
            ).view(features, width)
        return to_points, to_weight, gradient.sum(0)
