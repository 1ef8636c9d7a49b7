"""The k nearest points of each query."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from mm3d.ops import kernels
from mm3d.ops.gather import gather
from mm3d.ops.pairwise import check_clouds, is_direct, squared_distances, tiles, to_common_float
from mm3d.ops.selection import k_smallest
from mm3d.ops.threads import for_each

# Measured on CPU: a tree's search takes as long as looking at so many points, and so many more for every
# neighbour. In more dimensions a tree visits most of its leaves.
TREE_POINTS, TREE_POINTS_PER_NEIGHBOR, TREE_QUERIES, TREE_DIMENSIONS = 512, 70, 64, 8
# Entries of a tile that two arrays of and a selection fit a second-level cache with.
SMALL_TILE = 1 << 16
# What the kernel for GPUs keeps in registers.
MOST_POINTS, MOST_NEIGHBORS = 16384, 256
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

    CPU: a k-d tree per cloud where there are 64 queries and 512 + 70 k points; else all distances in tiles of
    bounded memory (at most 1 MB of float32; 256 MB on GPU). On GPU up to 16,384 points of 3
    dimensions in float32 and 256 neighbours need no such memory: one Triton kernel measures and selects.
    Raises ValueError for wrong shapes, empty clouds, k < 1 or k > N.
    """
    check_clouds(queries, points, ("queries", "points"))
    size = points.shape[1]
    if not 1 <= k <= size:
        raise ValueError(f"k must be in [1, {size}], got {k}")
    queries, points = to_common_float(queries.detach(), points.detach())
    if kernels.serves(queries, points) and size <= MOST_POINTS and k <= MOST_NEIGHBORS:
        from mm3d.ops.kernels.knn import nearest

        return nearest(queries, points, k)
    if _tree_pays(queries, points, k):
        candidates = _trees(queries, points, k)
    elif points.device.type == "cpu" and points.dtype == torch.float32 and is_direct(points.shape[2]):
        return _small(queries, points, k)
    else:
        candidates = _all_distances(queries, points, k)
    exact = (gather(points, candidates) - queries[:, :, None]).square_().sum(-1)
    distances, index = _ascending(exact, candidates)
    return distances[..., :k].contiguous(), index[..., :k].contiguous()


def _tree_pays(queries: Tensor, points: Tensor, k: int) -> bool:
    size, dimensions = points.shape[1:]
    if points.device.type != "cpu" or dimensions > TREE_DIMENSIONS:
        return False
    if size < TREE_POINTS + TREE_POINTS_PER_NEIGHBOR * k or queries.shape[1] < TREE_QUERIES:
        return False
    # A tree refuses NaN and infinity; all distances give some indices in range, as the other operators do.
    return bool(points.isfinite().all() and queries.isfinite().all())


def _trees(queries: Tensor, points: Tensor, k: int) -> Tensor:
    clouds, wanted = points.numpy(), queries.numpy()
    index = np.empty((*wanted.shape[:2], k), dtype=np.int64)
    ranks = range(1, k + 1)  # a list of ranks, because k=1 as a number drops the last axis

    def one(cloud: int) -> None:
        # cheap to build, used once
        tree = cKDTree(clouds[cloud], leafsize=32, balanced_tree=False, compact_nodes=False)
        index[cloud] = tree.query(wanted[cloud], k=ranks)[1]

    for_each(one, range(len(index)))
    return torch.from_numpy(index)


def _small(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """All distances and a selection a tile at a time, in numpy; on one thread, as several wait for each other.

    Half the time of torch's own operators on one thread, less than theirs on two. With more, theirs would be faster, but which
    of several tied points is taken would depend on the number of threads.
    """
    # Coordinates apart: reading every third number is six times slower than the copy.
    wanted, given = (t.permute(2, 0, 1).contiguous().numpy() for t in (queries, points))
    size = points.shape[1]
    distances = np.empty((*queries.shape[:2], k), dtype=np.float32)
    index = np.empty(distances.shape, dtype=np.int64)

    for tile in tiles(len(points), queries.shape[1], size, points.device, SMALL_TILE):
        row, column = wanted[:, *tile, None], given[:, tile[0], None]
        with np.errstate(all="ignore"):  # as torch: inf - inf is NaN without a warning
            total = np.square(row[0] - column[0])
            difference = np.empty_like(total)
            for left, right in zip(row[1:], column[1:], strict=True):
                np.subtract(left, right, out=difference)
                np.square(difference, out=difference)
                np.add(total, difference, out=total)
        found = k_smallest(total.reshape(-1, size), k)
        distances[tile], index[tile] = (part.reshape(*total.shape[:2], k) for part in found)
    return torch.from_numpy(distances), torch.from_numpy(index)


def _all_distances(queries: Tensor, points: Tensor, k: int) -> Tensor:
    batch, size, dimensions = points.shape
    width = k if is_direct(dimensions) else min(size, k + SPARE)
    index = torch.empty(*queries.shape[:2], width, dtype=torch.long, device=points.device)
    for clouds, rows in tiles(batch, queries.shape[1], size, points.device):
        distances = squared_distances(queries[clouds, rows], points[clouds])
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
