"""Earth mover's distance by exact assignment."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor

from mm3d.ops.chamfer import safe_sqrt
from mm3d.ops.gather import gather
from mm3d.ops.pairwise import check_clouds, to_common_float


def earth_mover_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean length of the cheapest one-to-one matching between two sets of the same size, per cloud.

    a, b: (B, N, 3) (any dimension works), float32 or float64 (half precision is computed in float32). Returns
    (B,). The matching is exact and minimises the sum of Euclidean lengths, O(N^3) per cloud on CPU, also for
    GPU tensors; meant for patches and small clouds. Of several optimal matchings, which one is taken is not
    specified. Differentiable through the matched pairs with the matching held fixed, which is the gradient
    wherever the optimum is unique; zero at coincident pairs.
    Raises ValueError for wrong shapes, empty sets, sizes that differ, NaN or infinite coordinates.
    """
    check_clouds(a, b, ("a", "b"))
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"a and b must have as many points, got {a.shape[1]} and {b.shape[1]}")
    a, b = to_common_float(a, b)
    matched = gather(b, _matching(a.detach(), b.detach()).to(a.device))
    return safe_sqrt((a - matched).square().sum(2)).mean(1)


def _matching(a: Tensor, b: Tensor) -> Tensor:
    """(B, N): the partner in b of each point of a."""
    partner = torch.empty(a.shape[:2], dtype=torch.long)
    for left, right, out in zip(a.cpu().numpy(), b.cpu().numpy(), partner, strict=True):
        out.copy_(torch.from_numpy(linear_sum_assignment(cdist(left, right))[1]))  # rows come back in order
    return partner
