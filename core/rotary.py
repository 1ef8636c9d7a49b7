"""Rotary position embedding."""

from __future__ import annotations

import torch
from torch import Tensor

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, (T, 1, D/2) each, float32."""


def rotation(positions: Tensor, width: int, base: float = 10000.0) -> Rotation:
    """Cosine and sine of the angle by which each pair of channels is turned; the same for all layers and heads.

    Args:
        positions: (T,) positions within the sample.
        width: D, channels of a head, even.
        base: the wavelengths grow geometrically from 2 pi to 2 pi * base.

    Raises:
        ValueError: D is odd.
    """
    if width % 2:
        raise ValueError(f"rotary embedding needs an even head width, got {width}")
    frequency = base ** (-torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width)
    angle = (positions.to(torch.float32).unsqueeze(-1) * frequency).unsqueeze(-2)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, turn: Rotation) -> Tensor:
    """Turn each pair of channels by its angle.

    Channel i is paired with channel i + D/2 (the half-split convention of ESM-2 and Llama).

    Args:
        x: (..., T, H, D) queries or keys.
        turn: of the T positions, as :func:`rotation` gives it.

    Returns:
        The same shape and dtype.

    Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", Section 3.2.2.
    """
    cos, sin = (t.to(x.dtype) for t in turn)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
