"""A small Point-BERT with its tokenizer, and clouds for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.random import generator
from mm3d.config import PatchEncoderConfig, PointBERTConfig, PointDVAEConfig
from mm3d.models.point_bert import PointBERT

DVAE = PointDVAEConfig(
    groups=8, group_size=8, codes=16, dim=12, widths=(8, 8, 12), graph_widths=(8, 8, 8, 12, 16), coarse_width=16, fold_width=8
)  # fmt: skip


def config(**changes: Any) -> PointBERTConfig:
    encoder = PatchEncoderConfig(
        groups=8, group_size=8, dim=24, depth=2, heads=3, drop_path=0.0, widths=(8, 8, 12), embed_dim=12,
        embed=changes.pop("embed", "all"),
    )  # fmt: skip
    return PointBERTConfig(encoder, DVAE, **{"contrast_dim": 10, "queue": 12, **changes})


def small(**changes: Any) -> PointBERT:
    torch.manual_seed(0)
    model = PointBERT(config(**changes))
    for module in model.modules():  # statistics that are not those of a fresh model
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean += 0.1 * torch.randn_like(module.running_mean)
            module.running_var += torch.rand_like(module.running_var)
    return model.eval()


def clouds(count: int = 4, seed: str = "clouds") -> Tensor:
    return torch.rand(count, 60, 3, generator=generator(seed)) * 2 - 1
