"""A nearly cheapest matching by auction: one program a pair of clouds, all distances in registers."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

TOLERANCE = 1e-3  # of the largest distance between a point of a and one of b
FIRST, SHRINK = 0.25, 0.2  # the first rise of a price, of the largest distance, and how it goes on
FAR = tl.constexpr(1e30)


@triton.jit
def auction_kernel(a, b, partner, size, first, shrink, tolerance, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """All points of a without a partner bid at once for the point of b that is best for them at its price.

    A bid is what keeps the bidder content, and a rise more. Where everyone has a partner, all are content within the last
    rise, so that the mean length is at most that above the least (Bertsekas 1988, Proposition 1). Larger rises come first:
    their prices are a start near the end.
    """
    cloud = tl.program_id(0).to(tl.int64)
    a += cloud * size * 3
    b += cloud * size * 3
    number = tl.arange(0, BLOCK)
    there = number < size
    dx = tl.load(a + 3 * number, there, other=0.0)[:, None] - tl.load(b + 3 * number, there, other=0.0)[None, :]
    dy = tl.load(a + 3 * number + 1, there, other=0.0)[:, None] - tl.load(b + 3 * number + 1, there, other=0.0)[None, :]
    dz = tl.load(a + 3 * number + 2, there, other=0.0)[:, None] - tl.load(b + 3 * number + 2, there, other=0.0)[None, :]
    both = there[:, None] & there[None, :]
    length = tl.where(both, tl.sqrt((dx * dx + dy * dy) + dz * dz), 0.0)
    longest = tl.maximum(tl.max(length), 1e-20)
    worth = tl.where(there[None, :], -length, -FAR)
    row = number[:, None]
    column = number[None, :]
    price = tl.zeros((BLOCK,), tl.float32)
    owner = tl.full((BLOCK,), -1, tl.int32)
    rise = first * longest
    last = tolerance * longest
    more = 1
    while more > 0:
        rise = tl.maximum(rise, last)
        owner = tl.full((BLOCK,), -1, tl.int32)
        waiting = size
        while waiting > 0:
            has = tl.max((owner[None, :] == row).to(tl.int32), 1)
            bids = (has == 0) & there
            value = worth - price[None, :]
            best = tl.max(value, 1)
            choice = tl.min(tl.where(value == best[:, None], column, BLOCK), 1)
            mine = column == choice[:, None]
            second = tl.max(tl.where(mine, -2 * FAR, value), 1)
            offer = tl.where(mine & bids[:, None], price[None, :] + ((best - second) + rise)[:, None], -FAR)
            top = tl.max(offer, 0)
            winner = tl.min(tl.where(offer == top[None, :], row, BLOCK), 0)
            sold = top > -FAR
            price = tl.where(sold, top, price)
            owner = tl.where(sold, winner, owner)
            waiting = size - tl.sum(((owner >= 0) & there).to(tl.int32), 0)
        more = (rise > last).to(tl.int32)
        rise = rise * shrink
    tl.store(partner + cloud * size + owner, number.to(tl.int64), there)


def warps(block: int) -> int:
    """Warps of a program: a thread holds 32 distances, as far as there are threads."""
    return max(1, min(16, block * block // 1024))


def matching(a: Tensor, b: Tensor) -> Tensor:
    """(B, N) int64, the partner in b of each point of a, from finite (B, N, 3) float32; N is at most 128.

    One to one. The mean length exceeds the least one by at most ``TOLERANCE`` times the largest distance between a point
    of a and one of b.
    """
    batch, size, _ = a.shape
    partner = torch.empty(batch, size, dtype=torch.int64, device=a.device)
    block = max(16, triton.next_power_of_2(size))  # more than one column, so that there is always a second best
    with torch.cuda.device_of(a):
        auction_kernel[(batch,)](
            a.contiguous(), b.contiguous(), partner, size, FIRST, SHRINK, TOLERANCE, block,
            num_warps=warps(block),
        )  # fmt: skip
    return partner
