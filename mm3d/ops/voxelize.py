"""Points to voxels: which cell each point is in, and the mean of what it holds."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mm3d.ops.kernel_map import Triple, ravel, unravel


class Voxelized(NamedTuple):
    """Occupied voxels of one scene, sorted by (z, y, x).

    ``indices``: (M, 3) int64. ``features``: (M, C) means. ``counts``: (M,) points that were averaged. ``voxel_of``: (N,)
    int64 voxel of each point, -1 for a point outside the range or in a voxel that was left out.
    """

    indices: Tensor
    features: Tensor
    counts: Tensor
    voxel_of: Tensor


def voxelize(
    points: Tensor,
    low: tuple[float, float, float],
    voxel_size: tuple[float, float, float],
    shape: Triple,
    max_points: int | None = None,
    max_voxels: int | None = None,
) -> Voxelized:
    """Cells of a regular grid that hold points, with the mean of their points' features.

    Without limits voxelisation is *dynamic*: every point in range counts. With ``max_points`` it is *hard*: only the
    first so many points of a voxel count, in the order they are given; ``max_voxels`` keeps the voxels whose first
    points come first. Both are deterministic.

    Args:
        points: (N, C), the first three columns x, y, z.
        low: lower corner (x, y, z) of the grid.
        voxel_size: edges (x, y, z), in the unit of the points.
        shape: cells (z, y, x). A point on the upper face is outside.

    Source: hard voxelisation of Zhou and Tuzel, "VoxelNet", Section 2.1.1, with the first points instead of random ones;
    dynamic voxelisation of Zhou et al., "End-to-End Multi-View Fusion", Section 3.1; mean of OpenPCDet's MeanVFE.
    """
    if points.ndim != 2 or points.shape[1] < 3:
        raise ValueError(f"points are (N, 3 or more), got {tuple(points.shape)}")
    # float64, so that a face between cells is where the decimal numbers say
    corner, size = points.new_tensor(low, dtype=torch.float64), points.new_tensor(voxel_size, dtype=torch.float64)
    cells = ((points[:, :3].double() - corner) / size).floor()
    limit = cells.new_tensor(shape[::-1])
    here = ((cells >= 0) & (cells < limit)).all(dim=1).nonzero().squeeze(1)  # NaN is nowhere
    keys = ravel(torch.cat([torch.zeros_like(here)[:, None], cells[here].long().flip(1)], dim=1), shape)
    keys, order = keys.sort(stable=True)
    here = here[order]
    found, voxel, counts = torch.unique_consecutive(keys, return_inverse=True, return_counts=True)
    starts = counts.cumsum(0) - counts
    if max_voxels is not None and len(found) > max_voxels:
        first = here[starts]  # stable: the first of a voxel is its earliest point
        kept = torch.zeros(len(found), dtype=torch.bool, device=points.device)
        kept[first.argsort()[:max_voxels]] = True
        renumbered = kept.cumsum(0) - 1
        inside = kept[voxel]
        here, voxel = here[inside], renumbered[voxel[inside]]
        found, counts = found[kept], counts[kept]
        starts = counts.cumsum(0) - counts
    voxel_of = torch.full((len(points),), -1, dtype=torch.int64, device=points.device)
    voxel_of[here] = voxel
    if max_points is not None:
        rank = torch.arange(len(voxel), device=points.device) - starts[voxel]
        early = rank < max_points
        here, voxel, counts = here[early], voxel[early], counts.clamp(max=max_points)
    sums = points.new_zeros(len(found), points.shape[1]).index_add_(0, voxel, points[here])
    return Voxelized(unravel(found, shape)[:, 1:], sums / counts[:, None], counts, voxel_of)


def voxel_centers(indices: Tensor, low: tuple[float, float, float], voxel_size: tuple[float, float, float]) -> Tensor:
    """Middles (x, y, z) of cells (..., z, y, x), float32, in the unit of the points."""
    size = torch.tensor(voxel_size, dtype=torch.float64, device=indices.device)
    corner = torch.tensor(low, dtype=torch.float64, device=indices.device)
    return ((indices.flip(-1) + 0.5) * size + corner).float()
