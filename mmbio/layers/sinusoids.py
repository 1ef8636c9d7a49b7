"""Positions as sines and cosines."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinusoids(positions: Tensor, width: int, base: float = 10000.0) -> Tensor:
    """Sines of a position in the first half of the channels, cosines in the second: (T,) -> (T, width) float32.

    The wavelengths grow geometrically from 2 pi to 2 pi * base, the last included, as in tensor2tensor and fairseq; the
    paper interleaves sines and cosines and stops one step short of the last.

    Args:
        width: even, at least 4.

    Source: Vaswani et al., "Attention Is All You Need", Section 3.5; sinusoidal_positional_embedding.py of fairseq.
    """
    half = width // 2
    rate = torch.exp(torch.arange(half, device=positions.device) * (-math.log(base) / (half - 1)))
    angle = positions.unsqueeze(1) * rate
    return torch.cat([angle.sin(), angle.cos()], 1)
