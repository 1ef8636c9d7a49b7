"""Attention within windows of a grid, over the cells that hold something."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.attention import packed_attention


class Regions(NamedTuple):
    """Tokens sorted into windows: ``order`` (T,) puts them window by window, ``place`` (T,) puts them back.

    ``offsets`` (W + 1,) says where the W windows with tokens start in this order, ``position`` (T, C) is the embedding
    of each token's place within its window, in this order too.
    """

    order: Tensor
    place: Tensor
    offsets: Tensor
    position: Tensor


def regions(indices: Tensor, window: int, moved: bool, dim: int) -> Regions:
    """Which tokens share a window.

    Args:
        indices: (T, 4) int64 (sample, z, y, x), in any order; z plays no part.
        window: edge in cells.
        moved: windows are moved by half of their edge, so that those of two layers overlap.
        dim: width C of the position embedding, a multiple of 4.

    Source: Fan et al., "Embracing Single Stride 3D Object Detector with Sparse Transformer", Section 3.2.
    """
    places = indices[:, 2:] + (window // 2 if moved else 0)
    numbers, within = places.div(window, rounding_mode="floor"), places % window
    rows, columns = (int(n) + 1 for n in numbers.amax(0)) if len(indices) else (1, 1)
    keys = (indices[:, 0] * rows + numbers[:, 0]) * columns + numbers[:, 1]
    keys, order = keys.sort(stable=True)
    counts = torch.unique_consecutive(keys, return_counts=True)[1]
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    return Regions(order, place, offsets, window_position(within[order].flip(1), window, dim))


def window_position(within: Tensor, window: int, dim: int) -> Tensor:
    """Sines and cosines of where cells stand in their window: (T, 2) int64 (x, y) -> (T, dim) float32.

    Half of the channels are for x, half for y; coordinates count from the window's middle, and sine and cosine alternate.

    Source: official code of SST (mmdet3d/models/middle_encoders/sst_input_layer_v2.py), temperature 10000.
    """
    half = dim // 2
    pair = torch.arange(0, half, 2, device=within.device, dtype=torch.float32)
    frequency = 10000 ** (-pair / half)
    angle = (within - window / 2).float().unsqueeze(-1) * frequency  # (T, 2, half / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


class WindowAttention(nn.Module):
    """Multi-head self-attention of tokens with those of their window; places are told to queries and keys, not to values.

    No padding is computed and no token dropped, however full a window is.

    Args:
        dim: width C.
        heads: number of heads.

    Shapes: ``forward(x, regions)``: (T, C) -> (T, C), tokens in the order of the indices that the regions were made of.

    Source: Fan et al. (SST), Section 3.2, Eq. 2.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, regions: Regions) -> Tensor:
        width = x.shape[-1]
        x = x.index_select(0, regions.order)
        weights, biases = (t.split([2 * width, width]) for t in (self.qkv.weight, self.qkv.bias))
        placed = x + regions.position.to(x.dtype)
        query, key = F.linear(placed, weights[0], biases[0]).unflatten(-1, (2, self.heads, -1)).unbind(1)
        value = F.linear(x, weights[1], biases[1]).unflatten(-1, (self.heads, -1))
        mixed = packed_attention(query, key, value, regions.offsets)
        return self.proj(mixed.flatten(1)).index_select(0, regions.place)
