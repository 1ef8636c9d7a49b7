"""Points within a radius, by the rule of PointNet++."""

from __future__ import annotations

import torch
from torch import Tensor

from mm3d.ops import kernels
from mm3d.ops.pairwise import check_clouds, squared_distances, tiles, to_common_float


def ball_query(queries: Tensor, points: Tensor, radius: float, k: int) -> Tensor:
    """The first k points, in index order, that lie closer than `radius` to each query.

    queries: (B, Q, 3), points: (B, N, 3), float32 or float64, CPU or GPU. Returns (B, Q, k) int64. Not
    differentiable.

    Within means squared distance < radius^2 (strictly; radius is squared in the dtype of the points, as in
    the official kernel). Fewer than k: the remaining places repeat the first one found. None: all places are
    index 0, as the official kernel leaves them; it is then NOT within the radius. k may exceed N. Not the
    nearest: see `knn` for those. On GPU one Triton kernel in float32 measures and selects, and stops at the k-th.
    Raises ValueError for wrong shapes, empty clouds, k < 1 or a radius that is not positive.
    Source: Qi et al., "PointNet++", 2017, Section 3.2.
    """
    check_clouds(queries, points, ("queries", "points"), dimensions=3)
    if k < 1 or not radius > 0:
        raise ValueError(f"k must be >= 1 and radius positive, got k={k}, radius={radius}")
    queries, points = to_common_float(queries.detach(), points.detach())
    batch, size, _ = points.shape
    limit = points.new_tensor(radius).square()
    if kernels.serves(queries, points):
        from mm3d.ops.kernels.ball_query import within

        return within(queries, points, limit, k)
    numbers = torch.arange(size, dtype=torch.int32, device=points.device)
    found = torch.full((*queries.shape[:2], k), size, dtype=torch.long, device=points.device)
    for clouds, rows in tiles(batch, queries.shape[1], size, points.device):
        distances = squared_distances(queries[clouds, rows], points[clouds])
        # Points outside get the number N, so the k smallest numbers are the first k inside, then N where none
        # is left.
        inside = torch.where(distances < limit, numbers, size)
        found[clouds, rows, :size] = inside.topk(min(k, size), dim=-1, largest=False, sorted=True).values.long()
    first = found[..., :1]
    first = torch.where(first == size, 0, first)
    return torch.where(found == size, first, found)
