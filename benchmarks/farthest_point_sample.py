"""Farthest point sampling against the usual torch loop: python -m benchmarks.farthest_point_sample"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.timing import Case, run
from mm3d.ops import farthest_point_sample


def naive(points: Tensor, count: int) -> Tensor:
    """The peer: gather the centroid, all distances, boolean-index assignment, maximum."""
    batch, size, _ = points.shape
    clouds = torch.arange(batch)
    picks = torch.zeros(batch, count, dtype=torch.long)
    nearest = torch.full((batch, size), 1e10, dtype=points.dtype)
    farthest = torch.zeros(batch, dtype=torch.long)
    for i in range(count):
        picks[:, i] = farthest
        centroid = points[clouds, farthest][:, None]
        distance = torch.sum((points - centroid) ** 2, -1)
        mask = distance < nearest
        nearest[mask] = distance[mask]
        farthest = torch.max(nearest, -1)[1]
    return picks


def case(batch: int, size: int, count: int) -> Case:
    points = torch.randn(batch, size, 3, generator=torch.Generator().manual_seed(0))
    if not torch.equal(farthest_point_sample(points, count), naive(points, count)):
        raise AssertionError("the picks differ")
    return Case(
        f"{batch} clouds, {size} points -> {count}",
        lambda: farthest_point_sample(points, count),
        lambda: naive(points, count),
    )


if __name__ == "__main__":
    run(
        "Farthest point sampling, identical picks",
        "naive torch loop",
        [case(32, 1024, 64), case(128, 1024, 64), case(8, 8192, 512)],
    )
