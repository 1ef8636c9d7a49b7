"""Points within a radius: one program a query, which stops as soon as it has k."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 512


@triton.jit
def ball_query_kernel(queries, points, limit, index, wanted, size, k, WIDTH: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    query = tl.program_id(0).to(tl.int64)
    points += query // wanted * size * 3
    queries += query * 3
    index += query * k
    x, y, z = tl.load(queries), tl.load(queries + 1), tl.load(queries + 2)
    squared_radius = tl.load(limit)
    number = tl.arange(0, BLOCK)
    found = 0
    first = size
    begin = 0
    while (begin < size) & (found < k):
        at = begin + number
        there = at < size
        dx = tl.load(points + 3 * at, there, other=0.0) - x
        dy = tl.load(points + 3 * at + 1, there, other=0.0) - y
        dz = tl.load(points + 3 * at + 2, there, other=0.0) - z
        inside = there & ((dx * dx + dy * dy) + dz * dz < squared_radius)
        place = found + tl.cumsum(inside.to(tl.int32), 0) - 1
        tl.store(index + place, at.to(tl.int64), inside & (place < k))
        found += tl.sum(inside.to(tl.int32), 0)
        first = tl.minimum(first, tl.min(tl.where(inside, at, size), 0))
        begin += BLOCK
    rank = tl.arange(0, WIDTH)
    first = tl.where(first == size, 0, first)
    tl.store(index + rank, tl.zeros_like(rank).to(tl.int64) + first, (rank >= found) & (rank < k))


def within(queries: Tensor, points: Tensor, limit: Tensor, k: int) -> Tensor:
    """As `mm3d.ops.ball_query`, (B, Q, k) int64; ``limit``: the squared radius as a tensor of one float32."""
    index = torch.empty(*queries.shape[:2], k, dtype=torch.int64, device=points.device)
    wanted, size = queries.shape[1], points.shape[1]
    if index.numel():
        with torch.cuda.device_of(points):
            ball_query_kernel[(len(queries) * wanted,)](
                queries.contiguous(), points.contiguous(), limit, index, wanted, size, k,
                triton.next_power_of_2(k), BLOCK, num_warps=1, enable_fp_fusion=False,
            )  # fmt: skip
    return index
