"""Small sweeps in pillars that several tests share."""

from __future__ import annotations

import torch
from torch import Tensor

from core.random import generator
from mm3d.config.pillars import PillarEncoderConfig, PillarGridConfig
from mm3d.data.pillar_samples import pillar_batch
from mm3d.layers.pillars import PillarBatch, pillarize

GRID = PillarGridConfig((-8.0, -6.0, -2.0), (8.0, 6.0, 2.0), (1.0, 1.0, 4.0))  # 12 x 16 pillars
ENCODER = PillarEncoderConfig(GRID, point_dim=8, dim=16, depth=2, heads=2, hidden=24, window=4)


def sweep(seed: int, count: int = 300) -> Tensor:
    """Points (N, 4) within and without the grid, denser in the middle."""
    source = generator("sweep", seed)
    return torch.randn(count, 4, generator=source) * torch.tensor([4.0, 3.5, 0.8, 1.0])


def batch(seeds: tuple[int, ...] = (0, 1), grid: PillarGridConfig = GRID) -> PillarBatch:
    """Sweeps of different sizes as one batch."""
    return pillar_batch([pillarize(sweep(seed, 300 - 70 * seed), grid) for seed in seeds])
