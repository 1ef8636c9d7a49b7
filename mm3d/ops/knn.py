"""The k nearest points of each query."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from mm3d.ops.gather import gather
from mm3d.ops.pairwise import check_clouds, is_direct, squared_distances, tiles, to_common_float

# Measured on CPU: from about this many points and queries a tree per cloud beats all distances and a
# selection. In more dimensions a tree visits most of its leaves.
TREE_POINTS, TREE_QUERIES, TREE_DIMENSIONS = 512, 64, 8
# Spare candidates where the selecting distances are rounded.
SPARE = 8


def knn(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest points of each query, nearest first.

    queries: (B, Q, D), points: (B, N, D), any D >= 1, float32 or float64 (half precision is computed in
    float32).
    Returns squared distances (B, Q, k) in the common dtype and indices (B, Q, k) int64. Neither is
    differentiable; for a differentiable distance, recompute it from ``gather(points, index)``.

    Ascending by (squared distance, index). Where several points tie for the last places, which of them are in
    the set is not specified; the distances are the same whichever are taken. A query that is itself a point
    finds it, or a duplicate, first. All returned distances are sums of squared differences, so they are
    precise far from the origin, too. Neighbours are chosen by such distances up to 8 dimensions; above, by
    the expanded form of centred clouds, whose rounding may exchange neighbours that differ by less than about
    1e-6 of the squared extent of the cloud.

    CPU: a k-d tree per cloud from 512 points and 64 queries up; else, and on GPU, all distances in tiles of
    bounded memory (at most 256 MB of float32). The trees use one thread: starting more per cloud cost what it
    saved.
    Raises ValueError for wrong shapes, empty clouds, k < 1 or k > N.
    """
    check_clouds(queries, points, ("queries", "points"))
    size = points.shape[1]
    if not 1 <= k <= size:
        raise ValueError(f"k must be in [1, {size}], got {k}")
    queries, points = to_common_float(queries.detach(), points.detach())
    candidates = _trees(queries, points, k) if _tree_pays(queries, points) else _all_distances(queries, points, k)
    exact = (gather(points, candidates) - queries[:, :, None]).square_().sum(-1)
    distances, index = _ascending(exact, candidates)
    return distances[..., :k].contiguous(), index[..., :k].contiguous()


def _tree_pays(queries: Tensor, points: Tensor) -> bool:
    size, dimensions = points.shape[1:]
    if points.device.type != "cpu" or dimensions > TREE_DIMENSIONS:
        return False
    if size < TREE_POINTS or queries.shape[1] < TREE_QUERIES:
        return False
    # A tree refuses NaN and infinity; all distances give some indices in range, as the other operators do.
    return bool(points.isfinite().all() and queries.isfinite().all())


def _all_distances(queries: Tensor, points: Tensor, k: int) -> Tensor:
    batch, size, dimensions = points.shape
    width = k if is_direct(dimensions) else min(size, k + SPARE)
    index = torch.empty(*queries.shape[:2], width, dtype=torch.long, device=points.device)
    for clouds, rows in tiles(batch, queries.shape[1], size, points.device):
        distances = squared_distances(queries[clouds, rows], points[clouds])
        if points.device.type == "cpu" and size < TREE_POINTS:  # where numpy's selection is the faster one
            index[clouds, rows] = torch.from_numpy(np.argpartition(distances.numpy(), width - 1)[..., :width])
        else:
            index[clouds, rows] = distances.topk(width, dim=-1, largest=False, sorted=False).indices
    return index


def _ascending(distances: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Both sorted along the last axis by (distance, index)."""
    if distances.dtype == torch.float32:
        # The bits of floats that are not negative order as the floats do: one sort of (bits, index) in an
        # int64.
        keys = (distances.view(torch.int32).long() << 32) | index
        keys = torch.from_numpy(np.sort(keys.numpy())) if keys.device.type == "cpu" else keys.sort(-1).values
        return (keys >> 32).int().view(torch.float32), keys & 0xFFFFFFFF
    index, order = index.sort(-1)
    distances, stable = distances.gather(-1, order).sort(dim=-1, stable=True)
    return distances, index.gather(-1, stable)


def _trees(queries: Tensor, points: Tensor, k: int) -> Tensor:
    index = torch.empty(*queries.shape[:2], k, dtype=torch.long)
    ranks = range(1, k + 1)  # a list of ranks, because k=1 as a number drops the last axis
    for cloud, query, out in zip(points.numpy(), queries.numpy(), index, strict=True):
        tree = cKDTree(cloud, leafsize=32, balanced_tree=False, compact_nodes=False)  # cheap to build, used once
        out.copy_(torch.from_numpy(tree.query(query, k=ranks)[1]))
    return index
