"""Features of patch centres carried to every point."""

from __future__ import annotations

import torch
from torch import Tensor

from mm3d.ops import gather, knn


def interpolate(points: Tensor, centers: Tensor, features: Tensor) -> Tensor:
    """Features at points as the mean of the three nearest centres', weighted by inverse squared distance.

    Args:
        points: (B, N, 3). centers: (B, G, 3). features: (B, G, C).

    Returns:
        (B, N, C). With fewer than three centres, of those there are.

    Source: Qi et al., "PointNet++", Eq. 2 with p = 2 and k = 3 (its code adds 1e-8 to the squared distance).
    """
    distance, index = knn(points, centers, min(3, centers.shape[1]))
    weight = 1 / (distance + 1e-8)
    weight = (weight / weight.sum(-1, keepdim=True)).to(features.dtype)
    return torch.einsum("bnk,bnkc->bnc", weight, gather(features, index))
