"""Squared distances between all points of two clouds, a tile at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Up to this many dimensions the squares of the differences are summed directly: exact, and on CPU faster than
# a batched matrix product with such a short inner dimension.
DIRECT_DIMENSIONS = 8
# Entries of one tile. CPU: three tiles of float32 (the sum, a difference, an index) about fill a second-level
# cache. GPU: 256 MB of float32.
CPU_TILE, GPU_TILE = 1 << 18, 1 << 26


def check_clouds(a: Tensor, b: Tensor, names: tuple[str, str], dimensions: int | None = None) -> None:
    """ValueError unless both are non-empty (B, N, D) and (B, M, D) on one device, with D as given."""
    for cloud, name in ((a, names[0]), (b, names[1])):
        if cloud.ndim != 3 or cloud.shape[2] != (dimensions or cloud.shape[2]):
            raise ValueError(f"{name} must be (B, N, {dimensions or 'D'}), got {tuple(cloud.shape)}")
        if cloud.numel() == 0:
            raise ValueError(f"{name} is empty: shape {tuple(cloud.shape)}")
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[2]:
        raise ValueError(f"{names[0]} {tuple(a.shape)} and {names[1]} {tuple(b.shape)} differ in batch or in dimension")
    if a.device != b.device:
        raise ValueError(f"{names[0]} is on {a.device}, {names[1]} on {b.device}")


def to_common_float(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both in their common dtype, at least float32: half precision cannot tell neighbours apart."""
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    return a.to(dtype), b.to(dtype)


def tiles(
    batch: int, rows: int, columns: int, device: torch.device, budget: int | None = None
) -> Iterator[tuple[slice, slice]]:
    """Slices of clouds and of rows: tiles of at most ``budget`` entries (a row at least) that cover (batch, rows, columns)."""
    budget = budget or (CPU_TILE if device.type == "cpu" else GPU_TILE)
    row_step = max(1, min(rows, budget // columns))
    cloud_step = max(1, budget // (columns * row_step)) if row_step == rows else 1
    for cloud in range(0, batch, cloud_step):
        for row in range(0, rows, row_step):
            yield slice(cloud, cloud + cloud_step), slice(row, row + row_step)


def is_direct(dimensions: int) -> bool:
    """Whether `squared_distances` sums squares of differences (exact) or expands the product (rounded)."""
    return dimensions <= DIRECT_DIMENSIONS


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(B, N, D) and (B, M, D) -> (B, N, M).

    Up to 8 dimensions: differences first, so relative precision holds anywhere in space, and zero means
    equal. Above: |a|^2 - 2ab + |b|^2 after the mean of b is subtracted from both, for clouds far from the
    origin; its error is relative to the extent of the cloud, not to the distance, and it may be slightly
    negative. Not meant to be differentiated: call it without gradients.
    """
    if is_direct(a.shape[2]):
        # Coordinates apart: reading every third number is six times slower than the copy.
        rows, columns = (
            a.permute(2, 0, 1).contiguous()[..., None],
            b.permute(2, 0, 1).contiguous()[:, :, None],
        )
        total = (rows[0] - columns[0]).square_()
        difference = torch.empty_like(total)
        for row, column in zip(rows[1:], columns[1:], strict=True):
            torch.sub(row, column, out=difference)
            total.addcmul_(difference, difference)
        return total
    mean = b.mean(1, keepdim=True)
    a, b = a - mean, b - mean
    norms = a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None, :]
    with torch.autocast(a.device.type, enabled=False):  # autocast would run the product in half precision
        return torch.baddbmm(norms, a, b.transpose(1, 2), alpha=-2)
