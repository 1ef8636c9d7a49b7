"""Nearest neighbours: one program a query; the distances stay in registers, the k-th smallest is found by bisection."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def knn_kernel(queries, points, distances, index, wanted, size, k, BLOCK: tl.constexpr, WIDTH: tl.constexpr):  # type: ignore[no-untyped-def]
    """Distances are not negative, so that their bits order as they do and integers between them can be bisected.

    The loop ends as soon as exactly k distances are at most ``high``, which takes about ten steps. Where equal distances
    straddle the last place it runs until ``high`` is that distance, and of the equal ones the first are taken.
    """
    query = tl.program_id(0).to(tl.int64)
    points += query // wanted * size * 3
    queries += query * 3
    number = tl.arange(0, BLOCK)
    there = number < size
    dx = tl.load(points + 3 * number, there, other=0.0) - tl.load(queries)
    dy = tl.load(points + 3 * number + 1, there, other=0.0) - tl.load(queries + 1)
    dz = tl.load(points + 3 * number + 2, there, other=0.0) - tl.load(queries + 2)
    squared = (dx * dx + dy * dy) + dz * dz
    bits = tl.where(squared == squared, squared.to(tl.int32, bitcast=True), 0x7FC00000)  # NaN of one sign: the largest
    bits = tl.where(there, bits, 0x7FFFFFFF)
    low = tl.min(bits, 0)
    high = tl.max(tl.where(there, bits, 0), 0)
    within = size
    while (within > k) & (low < high):
        middle = low + (high - low) // 2
        count = tl.sum((bits <= middle).to(tl.int32), 0)
        enough = count >= k
        high = tl.where(enough, middle, high)
        within = tl.where(enough, count, within)
        low = tl.where(enough, low, middle + 1)
    chosen = bits <= high
    if within > k:
        less = bits < high
        equal = bits == high
        rank = tl.cumsum(equal.to(tl.int32), 0)
        chosen = less | (equal & (rank <= k - tl.sum(less.to(tl.int32), 0)))
    # The chosen change places so that they stand together, then they are sorted; the result is the scratch.
    place = tl.cumsum(chosen.to(tl.int32), 0) - 1
    distances += query * k
    index += query * k
    tl.store(index + place, ((bits.to(tl.int64) << 32) | number), chosen)
    tl.debug_barrier()
    rank = tl.arange(0, WIDTH)
    keys = tl.sort(tl.load(index + rank, rank < k, other=0x7FFFFFFFFFFFFFFF))
    tl.debug_barrier()
    tl.store(distances + rank, (keys >> 32).to(tl.int32).to(tl.float32, bitcast=True), rank < k)
    tl.store(index + rank, keys & 0xFFFFFFFF, rank < k)


def warps(block: int) -> int:
    """Warps of a program: a thread holds 32 points."""
    return max(1, min(16, block // 1024))


def nearest(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Squared distances (B, Q, k) and indices of (B, Q, 3) and (B, N, 3) float32, ascending by (distance, index).

    at most 16,384 points and 256 neighbours. Of equal distances the lowest indices are taken.
    """
    batch, size, _ = points.shape
    wanted = queries.shape[1]
    distances = torch.empty(batch, wanted, k, device=points.device)
    index = torch.empty(batch, wanted, k, dtype=torch.int64, device=points.device)
    if index.numel():
        block = max(32, triton.next_power_of_2(size))
        with torch.cuda.device_of(points):
            knn_kernel[(batch * wanted,)](
                queries.contiguous(), points.contiguous(), distances, index, wanted, size, k,
                block, max(2, triton.next_power_of_2(k)), num_warps=warps(block), enable_fp_fusion=False,
            )  # fmt: skip
    return distances, index
