"""Nearest distances between two sets of points, and the Chamfer losses made of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mm3d.ops import kernels
from mm3d.ops.gather import gather
from mm3d.ops.knn import knn
from mm3d.ops.pairwise import check_clouds, squared_distances, tiles, to_common_float

# From this many points on both sides trees win on CPU.
TREE_POINTS = 1024


def nearest_distances(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance from each point to the nearest point of the other set, both ways.

    a: (B, N, 3), b: (B, M, 3), float32 or float64, CPU or GPU; half precision is computed in float32, and
    autocast changes nothing. Returns (B, N) and (B, M).

    Differentiable once, analytically, through the nearest pairs: memory for the backward pass is the inputs
    and two index arrays, never the (B, N, M) matrix. Of equally near points the lowest index is the partner
    (large clouds on CPU: some one of them). The gradient at coincident points is zero. On GPU two Triton kernels in float32
    do both passes, without the matrix and in an order of sums that never changes.
    Raises ValueError for wrong shapes and for empty sets.
    """
    check_clouds(a, b, ("a", "b"), dimensions=3)
    a, b = to_common_float(a, b)
    d_ab, d_ba = _NearestDistances.apply(a, b)
    return d_ab, d_ba


def chamfer_l2(a: Tensor, b: Tensor) -> Tensor:
    """Chamfer distance with squared lengths, as Point-MAE: mean of d(a, b) + mean of d(b, a).

    Shapes, dtypes and errors as `nearest_distances`. A scalar, not halved.
    Source: the loss of Pang et al., "Masked Autoencoders for Point Cloud Self-supervised Learning", 2022.
    """
    d_ab, d_ba = nearest_distances(a, b)
    return d_ab.mean() + d_ba.mean()


def chamfer_l1(a: Tensor, b: Tensor) -> Tensor:
    """Chamfer distance with plain lengths: (mean of sqrt d(a, b) + mean of sqrt d(b, a)) / 2.

    Shapes, dtypes and errors as `nearest_distances`. A scalar. At coincident points the value is exactly 0
    and the gradient is 0 (the square root alone would give NaN).
    Source: the dVAE of Yu et al., "Point-BERT", 2022.
    """
    d_ab, d_ba = nearest_distances(a, b)
    return (safe_sqrt(d_ab).mean() + safe_sqrt(d_ba).mean()) / 2


def safe_sqrt(squared: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0."""
    zero = squared == 0
    return squared.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)


class _NearestDistances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        if kernels.serves(a, b):
            from mm3d.ops.kernels.chamfer import nearest

            d_ab, to_b, d_ba, to_a = nearest(a, b)
        elif a.device.type == "cpu" and min(a.shape[1], b.shape[1]) >= TREE_POINTS:
            (d_ab, to_b), (d_ba, to_a) = (tuple(t[..., 0] for t in knn(*pair, 1)) for pair in ((a, b), (b, a)))
        else:
            d_ab, to_b, d_ba, to_a = _nearest(a, b)
        ctx.save_for_backward(a, b, to_b, to_a)
        return d_ab, d_ba

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_ab: Tensor, g_ba: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b, to_b, to_a = ctx.saved_tensors
        if kernels.serves(a, b):
            from mm3d.ops.kernels.chamfer import gradient

            grad_a = gradient(a, b, g_ab, g_ba, to_b, to_a) if ctx.needs_input_grad[0] else None
            return grad_a, gradient(b, a, g_ba, g_ab, to_a, to_b) if ctx.needs_input_grad[1] else None
        from_a = 2 * g_ab[..., None] * (a - gather(b, to_b))  # gradient of sum(g_ab * d_ab) with respect to a
        from_b = 2 * g_ba[..., None] * (b - gather(a, to_a))
        grad_a = grad_b = None
        if ctx.needs_input_grad[0]:
            grad_a = from_a.scatter_add(1, to_a[..., None].expand_as(b), -from_b)
        if ctx.needs_input_grad[1]:
            grad_b = from_b.scatter_add(1, to_b[..., None].expand_as(a), -from_a)
        return grad_a, grad_b


def _nearest(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Nearest distances and partners, both ways, from tiles of the distance matrix."""
    batch, rows, columns = a.shape[0], a.shape[1], b.shape[1]
    d_ab, d_ba = a.new_empty(batch, rows), a.new_full((batch, columns), torch.inf)
    to_b = torch.empty(batch, rows, dtype=torch.long, device=a.device)
    to_a = torch.zeros(batch, columns, dtype=torch.long, device=a.device)
    for clouds, part in tiles(batch, rows, columns, a.device):
        distances = squared_distances(a[clouds, part], b[clouds])
        d_ab[clouds, part], to_b[clouds, part] = _minimum(distances, 2)
        least, index = _minimum(distances, 1)
        closer = least < d_ba[clouds]  # strictly, so that the lowest index stays
        to_a[clouds] = torch.where(closer, index + part.start, to_a[clouds])
        d_ba[clouds] = torch.minimum(least, d_ba[clouds])  # carries NaN on, so that a loss of NaN is seen
    return d_ab, to_b, d_ba, to_a


def _minimum(distances: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Minimum and the lowest index that has it; with NaN some index in range."""
    if distances.device.type != "cpu":
        least, index = distances.min(dim)
        return least, index
    # On CPU min and argmin with an index do not vectorise; amin and arithmetic do, and are several times
    # faster. The sign is 0 at the minimum and 1 elsewhere, so of number + sign * size the least is the first
    # number at the minimum.
    least = distances.amin(dim)
    size = distances.shape[dim]
    numbers = torch.arange(size, dtype=distances.dtype).view((-1, 1) if dim == 1 else (-1,))
    ranks = (distances - least.unsqueeze(dim)).sign_().mul_(size).add_(numbers)
    return least, ranks.amin(dim).long().clamp_(0, size - 1)
