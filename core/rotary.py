"""Rotary position embedding."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    """Turn each pair of channels by an angle proportional to the token's position.

    Channel i is paired with channel i + D/2 (the half-split convention of ESM-2 and Llama).

    Args:
        x: (..., T, H, D) queries or keys, D even.
        positions: (T,) positions within the sample.
        base: the wavelengths grow geometrically from 2 pi to 2 pi * base.

    Returns:
        The same shape and dtype; angles are computed in float32.

    Raises:
        ValueError: D is odd.

    Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", Section 3.2.2.
    """
    width = x.shape[-1]
    if width % 2:
        raise ValueError(f"rotary embedding needs an even head width, got {width}")
    frequency = base ** (-torch.arange(0, width, 2, device=x.device, dtype=torch.float32) / width)
    angle = positions.to(torch.float32).unsqueeze(-1) * frequency  # (T, D/2)
    cos, sin = (torch.cat([t, t], -1).unsqueeze(-2).to(x.dtype) for t in (angle.cos(), angle.sin()))
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin
