"""Nearest distances both ways in one launch, and their gradient in one more."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

WIDEST = 64  # columns of a tile


@triton.jit
def nearest_kernel(a, b, d_ab, d_ba, to_b, to_a, size_a, size_b, tiles_a, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]
    """A tile of rows of one cloud against all of the other; the first tiles are rows of a, the others of b.

    Bits of distances that are not negative order as they do. NaN becomes -1, less than all of them, so that it stays.
    """
    cloud = tl.program_id(1).to(tl.int64)
    tile = tl.program_id(0)
    rows, columns, distances, index = a + cloud * size_a * 3, b + cloud * size_b * 3, d_ab + cloud * size_a, to_b
    count, others = size_a, size_b
    if tile >= tiles_a:
        rows, columns, distances, index = b + cloud * size_b * 3, a + cloud * size_a * 3, d_ba + cloud * size_b, to_a
        count, others, tile = size_b, size_a, tile - tiles_a
    index += cloud * count
    row = tile * ROWS + tl.arange(0, ROWS)
    x = tl.load(rows + 3 * row, row < count, other=0.0)[:, None]
    y = tl.load(rows + 3 * row + 1, row < count, other=0.0)[:, None]
    z = tl.load(rows + 3 * row + 2, row < count, other=0.0)[:, None]
    least = tl.full((ROWS, COLUMNS), 0x7FFFFFFF, tl.int32)
    partner = tl.zeros((ROWS, COLUMNS), tl.int32)
    for begin in range(0, others, COLUMNS):
        column = begin + tl.arange(0, COLUMNS)
        there = column < others
        dx = x - tl.load(columns + 3 * column, there, other=0.0)[None, :]
        dy = y - tl.load(columns + 3 * column + 1, there, other=0.0)[None, :]
        dz = z - tl.load(columns + 3 * column + 2, there, other=0.0)[None, :]
        squared = (dx * dx + dy * dy) + dz * dz
        bits = tl.where(squared == squared, squared.to(tl.int32, bitcast=True), -1)
        bits = tl.where(there[None, :], bits, 0x7FFFFFFF)
        closer = bits < least  # strictly, so that the lowest index stays
        partner = tl.where(closer, column[None, :], partner)
        least = tl.minimum(least, bits)
    best = tl.min(least, 1)
    who = tl.min(tl.where(least == best[:, None], partner, 0x7FFFFFFF), 1)
    shown = tl.where(best < 0, 0x7FC00000, best).to(tl.float32, bitcast=True)
    tl.store(distances + row, shown, row < count)
    tl.store(index + row, who.to(tl.int64), row < count)


@triton.jit
def gradient_kernel(a, b, g_ab, g_ba, to_b, to_a, grad, size_a, size_b, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]
    """The gradient of a. Points of b whose nearest is a row are looked for, not scattered: the sum has one order."""
    cloud = tl.program_id(1).to(tl.int64)
    a += cloud * size_a * 3
    b += cloud * size_b * 3
    grad += cloud * size_a * 3
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    inside = row < size_a
    x = tl.load(a + 3 * row, inside, other=0.0)
    y = tl.load(a + 3 * row + 1, inside, other=0.0)
    z = tl.load(a + 3 * row + 2, inside, other=0.0)
    near = tl.load(to_b + cloud * size_a + row, inside, other=0)
    share = tl.load(g_ab + cloud * size_a + row, inside, other=0.0)
    gx = share * (x - tl.load(b + 3 * near, inside, other=0.0))
    gy = share * (y - tl.load(b + 3 * near + 1, inside, other=0.0))
    gz = share * (z - tl.load(b + 3 * near + 2, inside, other=0.0))
    for begin in range(0, size_b, COLUMNS):
        column = begin + tl.arange(0, COLUMNS)
        there = column < size_b
        owner = tl.load(to_a + cloud * size_b + column, there, other=-1).to(tl.int32)
        share = tl.load(g_ba + cloud * size_b + column, there, other=0.0)
        weight = tl.where(owner[None, :] == row[:, None], share[None, :], 0.0)
        gx += tl.sum(weight * (x[:, None] - tl.load(b + 3 * column, there, other=0.0)[None, :]), 1)
        gy += tl.sum(weight * (y[:, None] - tl.load(b + 3 * column + 1, there, other=0.0)[None, :]), 1)
        gz += tl.sum(weight * (z[:, None] - tl.load(b + 3 * column + 2, there, other=0.0)[None, :]), 1)
    tl.store(grad + 3 * row, 2 * gx, inside)
    tl.store(grad + 3 * row + 1, 2 * gy, inside)
    tl.store(grad + 3 * row + 2, 2 * gz, inside)


def tile(rows: int, columns: int) -> tuple[int, int, int]:
    """Rows and columns of a tile, and warps of a program."""
    wide = min(WIDEST, max(16, triton.next_power_of_2(columns)))
    high = min(64, max(16, triton.next_power_of_2(rows)))
    return high, wide, max(1, high * wide // 1024)


def nearest(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """d_ab (B, N), to_b (B, N), d_ba (B, M), to_a (B, M) of (B, N, 3) and (B, M, 3) float32."""
    batch, size_a, size_b = len(a), a.shape[1], b.shape[1]
    d_ab, d_ba = a.new_empty(batch, size_a), a.new_empty(batch, size_b)
    to_b, to_a = (torch.empty_like(d, dtype=torch.int64) for d in (d_ab, d_ba))
    high, wide, warps = tile(max(size_a, size_b), max(size_a, size_b))
    tiles_a, tiles_b = (triton.cdiv(size, high) for size in (size_a, size_b))
    with torch.cuda.device_of(a):
        nearest_kernel[(tiles_a + tiles_b, batch)](
            a.contiguous(), b.contiguous(), d_ab, d_ba, to_b, to_a, size_a, size_b, tiles_a, high, wide,
            num_warps=warps, enable_fp_fusion=False,
        )  # fmt: skip
    return d_ab, to_b, d_ba, to_a


def gradient(a: Tensor, b: Tensor, g_ab: Tensor, g_ba: Tensor, to_b: Tensor, to_a: Tensor) -> Tensor:
    """Gradient of sum(g_ab * d_ab) + sum(g_ba * d_ba) with respect to a, (B, N, 3); exchange all pairs for that of b."""
    grad = torch.empty_like(a, memory_format=torch.contiguous_format)
    high, wide, warps = tile(a.shape[1], b.shape[1])
    with torch.cuda.device_of(a):
        gradient_kernel[(triton.cdiv(a.shape[1], high), len(a))](
            a.contiguous(), b.contiguous(), g_ab.contiguous(), g_ba.contiguous(), to_b, to_a, grad,
            a.shape[1], b.shape[1], high, wide, num_warps=warps,
        )  # fmt: skip
    return grad
