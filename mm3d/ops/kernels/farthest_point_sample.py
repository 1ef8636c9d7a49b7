"""Farthest point sampling: one program a cloud, which stays in registers from the first pick to the last."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

INFINITY = tl.constexpr(0x7F800000)  # bits of the float


@triton.jit
def sample_kernel(points, first, picks, size, count, SKIP: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Distances are not negative, so that their bits order as they do: all reductions are of 32-bit integers.

    ``nearest`` is -1 where a point is never picked, -2 beyond the last point; minima keep both.
    """
    cloud = tl.program_id(0).to(tl.int64)
    points += cloud * size * 3
    picks += cloud * count
    number = tl.arange(0, BLOCK)
    there = number < size
    x = tl.load(points + 3 * number, there, other=0.0)
    y = tl.load(points + 3 * number + 1, there, other=0.0)
    z = tl.load(points + 3 * number + 2, there, other=0.0)
    nearest = tl.where(there, INFINITY, -2)
    if SKIP:
        # The official kernel compares with 1e-3 in double precision. The float32 next to 1e-3 is the larger one, so that
        # "at most 1e-3" is "less than this float32".
        nearest = tl.where(there & ((x * x + y * y) + z * z < 1e-3), -1, nearest)
    chosen = tl.load(first + cloud).to(tl.int32)
    tl.store(picks, chosen.to(tl.int64))
    for i in range(1, count):
        dx = x - tl.load(points + 3 * chosen)
        dy = y - tl.load(points + 3 * chosen + 1)
        dz = z - tl.load(points + 3 * chosen + 2)
        squared = (dx * dx + dy * dy) + dz * dz
        nearest = tl.minimum(nearest, squared.to(tl.int32, bitcast=True))
        farthest = tl.max(nearest, 0)
        chosen = tl.min(tl.where(nearest == farthest, number, BLOCK), 0)
        chosen = tl.minimum(chosen, size - 1)  # NaN may have left nothing but what is beyond the last point
        tl.store(picks + i, chosen.to(tl.int64))


def warps(block: int) -> int:
    """Warps of a program: so that a thread holds 8 to 16 points, as far as there are threads."""
    return max(1, min(32, block // 256 if block <= 2048 else block // 512))


def sample(points: Tensor, count: int, first: Tensor, skip_near_origin: bool) -> Tensor:
    """Picks (B, count) int64 from (B, N, 3) float32; ``first``: (B,) int64. N is at most 16,384."""
    batch, size, _ = points.shape
    picks = torch.empty(batch, count, dtype=torch.int64, device=points.device)
    if batch:
        block = max(32, triton.next_power_of_2(size))
        # Without fused multiply-adds a distance has the bits that it has on CPU, and so do ties.
        with torch.cuda.device_of(points):
            sample_kernel[(batch,)](
                points.contiguous(), first, picks, size, count, skip_near_origin, block,
                num_warps=warps(block), enable_fp_fusion=False,
            )  # fmt: skip
    return picks
