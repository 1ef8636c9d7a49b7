"""A cloud as overlapping patches: centres by farthest point sampling, neighbours by kNN."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mm3d.ops import farthest_point_sample, gather, knn


class Patches(NamedTuple):
    """Patches of a batch of clouds.

    ``neighborhoods``: (B, G, K, 3), coordinates relative to the patch's centre. ``centers``: (B, G, 3).
    """

    neighborhoods: Tensor
    centers: Tensor


@torch.no_grad()
def patchify(points: Tensor, groups: int, size: int, skip_near_origin: bool = True) -> Patches:
    """Group clouds into patches of nearest neighbours around farthest points.

    Args:
        points: (B, N, 3) float.
        groups: number of patches G, at most N.
        size: points of a patch K, at most N. The centre itself is one of them.
        skip_near_origin: never take a point with |p|^2 <= 1e-3 as a centre: the rule of the PointNet++ kernel with
            which the published models were trained.

    Raises:
        ValueError: shape is not (B, N, 3), or N is smaller than G or K.

    Source: Yu et al., "Point-BERT", Section 3.1; Pang et al., "Point-MAE", Section 3.1.
    """
    if points.ndim != 3 or points.shape[-1] != 3:
        raise ValueError(f"points are (batch, points, 3), got {tuple(points.shape)}")
    if points.shape[1] < max(groups, size):
        raise ValueError(f"{points.shape[1]} points are fewer than {groups} patches of {size} points need")
    centers = patch_centers(points, groups, skip_near_origin)
    _, index = knn(centers, points, size)
    return Patches(gather(points, index) - centers.unsqueeze(2), centers)


@torch.no_grad()
def patch_centers(points: Tensor, groups: int, skip_near_origin: bool = True) -> Tensor:
    """The centres that :func:`patchify` takes: (B, N, 3) -> (B, G, 3)."""
    return gather(points, farthest_point_sample(points, groups, skip_near_origin=skip_near_origin))


class PositionEmbedding(nn.Sequential):
    """Coordinates of patch centres as tokens: (..., 3) -> (..., C) through one hidden layer of 128.

    Source: Pang et al., "Point-MAE", Section 3.1 (learnable MLP position embedding).
    """

    def __init__(self, dim: int) -> None:
        super().__init__(nn.Linear(3, 128), nn.GELU(), nn.Linear(128, dim))
