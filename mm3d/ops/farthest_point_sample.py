"""Farthest point sampling."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mm3d.ops import kernels

# |p|^2 at or below this is "near the origin" in the official kernel, which compares in double precision.
NEAR_ORIGIN = 1e-3
# Points of one block on CPU: coordinates, differences and distances (7 arrays of float32) stay in cache.
BLOCK = 1 << 15
# Points of a cloud that the kernel for GPUs keeps in registers.
MOST_POINTS = 16384


def farthest_point_sample(
    points: Tensor, count: int, start: int | Tensor = 0, skip_near_origin: bool = False
) -> Tensor:
    """Indices of `count` points per cloud, each farthest from those picked before it.

    points: (B, N, 3) float, CPU or GPU. start: the first index, one for all or an integer tensor (B,).
    Returns (B, count) int64. Not differentiable.

    The distance is (dx^2 + dy^2) + dz^2 in the dtype of `points` (half precision is computed in float32); of
    equal distances the lowest index wins. Where `count` exceeds the number of distinct points, every later
    pick has distance zero and is therefore the lowest index (index 0, picked again).

    skip_near_origin: the rule of the official PointNet++ kernel, which Point-MAE's groups depend on. A point
    with |p|^2 <= 1e-3 is never picked, except as the start, which is taken as it is. When all candidates are
    used up, the lowest-indexed candidate is repeated; when there is none, index 0. (The kernel breaks exact
    ties by thread, that is by index modulo its block size; up to 512 points this is the lowest index, too.)

    NaN or infinite coordinates give some indices in range; checking data is not this function's business. On
    CPU the call runs on the calling thread only: the steps are too small to share, and waking a second thread
    for each costs far more than it brings. On GPU one Triton kernel takes all steps of up to 16,384 points in float32; else
    each step is queued, without synchronisation inside the loop. The picks are the same everywhere.

    Raises ValueError for a wrong shape or dtype, count outside [1, N], or start outside [0, N).
    Source: Qi et al., "PointNet++", 2017, Section 3.2.
    """
    if points.ndim != 3 or points.shape[2] != 3 or not points.is_floating_point():
        raise ValueError(f"points must be floating (B, N, 3), got {tuple(points.shape)} {points.dtype}")
    batch, size, _ = points.shape
    if not 1 <= count <= size:
        raise ValueError(f"count must be in [1, {size}], got {count}")
    first = _first(start, batch, size, points.device)
    points = points.detach()
    if points.dtype not in (torch.float32, torch.float64):
        points = points.float()
    if kernels.serves(points) and size <= MOST_POINTS:
        from mm3d.ops.kernels.farthest_point_sample import sample

        return sample(points, count, first, skip_near_origin)
    # The running distance of a point that must not be picked starts, and so stays, below every distance.
    running = points.new_full((batch, size), torch.inf)
    if skip_near_origin:
        x, y, z = points.unbind(2)
        running.masked_fill_(((x * x + y * y) + z * z).double() <= NEAR_ORIGIN, -1.0)
    if points.device.type == "cpu":
        return _sample_cpu(points, count, first, running)
    return _sample_device(points, count, first, running)


def _first(start: int | Tensor, batch: int, size: int, device: torch.device) -> Tensor:
    if isinstance(start, Tensor):
        if start.shape != (batch,) or start.dtype == torch.bool or start.is_floating_point():
            raise ValueError(f"start must be an int or integer ({batch},), got {tuple(start.shape)} {start.dtype}")
        if batch and not 0 <= int(start.min()) <= int(start.max()) < size:
            raise ValueError(f"start must be in [0, {size}), got {start.tolist()}")
        return start.to(device, torch.long)
    if not 0 <= start < size:
        raise ValueError(f"start must be in [0, {size}), got {start}")
    return torch.full((batch,), start, dtype=torch.long, device=device)


def _sample_cpu(points: Tensor, count: int, first: Tensor, running: Tensor) -> Tensor:
    """In place, coordinates apart, a cache-sized block of clouds at a time.

    numpy instead of torch: it never starts threads, so nothing global has to be set and restored, and its
    argmax is vectorised where torch's is not.
    """
    batch, size, _ = points.shape
    picks = np.empty((batch, count), dtype=np.int64)
    step = max(1, BLOCK // size)
    for begin in range(0, batch, step):
        block = slice(begin, begin + step)
        xyz = np.ascontiguousarray(points[block].numpy().transpose(2, 0, 1))
        nearest, chosen, out = running[block].numpy(), first[block].numpy().copy(), picks[block]
        clouds = np.arange(len(out))
        difference = np.empty_like(xyz)
        distance, dy, dz = difference
        out[:, 0] = chosen
        with np.errstate(all="ignore"):  # as torch: inf - inf is NaN without a warning
            for i in range(1, count):
                np.subtract(xyz, xyz[:, clouds, chosen, None], out=difference)
                np.multiply(difference, difference, out=difference)
                np.add(distance, dy, out=distance)
                np.add(distance, dz, out=distance)
                np.minimum(nearest, distance, out=nearest)
                nearest.argmax(1, out=chosen)
                out[:, i] = chosen
    return torch.from_numpy(picks)


def _sample_device(points: Tensor, count: int, first: Tensor, running: Tensor) -> Tensor:
    """The same loop in torch; every step is queued without waiting for its result."""
    xyz = points.permute(2, 0, 1).contiguous()
    picks = torch.empty(points.shape[0], count, dtype=torch.long, device=points.device)
    picks[:, 0] = first
    chosen = first[:, None].clone()
    difference = torch.empty_like(xyz)
    distance, dy, dz = difference
    for i in range(1, count):
        torch.sub(xyz, xyz.gather(2, chosen.expand(3, -1, 1)), out=difference)
        difference.square_()
        distance.add_(dy).add_(dz)
        torch.minimum(running, distance, out=running)
        torch.argmax(running, 1, keepdim=True, out=chosen)
        picks[:, i] = chosen[:, 0]
    return picks
