"""Earth mover's distance: by exact assignment on CPU, by auction on GPU."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor

from mm3d.ops import kernels
from mm3d.ops.chamfer import safe_sqrt
from mm3d.ops.gather import gather
from mm3d.ops.pairwise import check_clouds, to_common_float

# Points of a cloud that the kernel for GPUs takes.
MOST_POINTS = 128


def earth_mover_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean length of the cheapest one-to-one matching between two sets of the same size, per cloud.

    a, b: (B, N, 3) (any dimension works), float32 or float64 (half precision is computed in float32). Returns
    (B,). The matching minimises the sum of Euclidean lengths; meant for patches and small clouds. On CPU, and for more than
    128 points, it is exact, O(N^3) per cloud on CPU. On GPU a Triton kernel finds, for up to 128 points of 3 dimensions in
    float32, a matching whose mean length exceeds the least by at most 1e-3 of the largest distance between a point of a and
    one of b. Of several optimal matchings, which one is taken is not specified.
    Differentiable through the matched pairs with the matching held fixed, which is the gradient wherever the optimum is
    unique; zero at coincident pairs.
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
    if kernels.serves(a, b) and a.shape[1] <= MOST_POINTS:
        if not (a.isfinite().all() and b.isfinite().all()):
            raise ValueError("a or b contains NaN or infinite coordinates")
        from mm3d.ops.kernels.earth_mover import matching

        return matching(a, b)
    partner = torch.empty(a.shape[:2], dtype=torch.long)
    for left, right, out in zip(a.cpu().numpy(), b.cpu().numpy(), partner, strict=True):
        out.copy_(torch.from_numpy(linear_sum_assignment(cdist(left, right))[1]))  # rows come back in order
    return partner
