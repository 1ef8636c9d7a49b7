"""Splits of labelled nodes."""

from __future__ import annotations

import torch
from torch import Tensor

from core.random import generator


def split_nodes(labels: Tensor, seed: int, train: float = 0.1, val: float = 0.1) -> tuple[Tensor, Tensor, Tensor]:
    """Labelled nodes in random parts: indices (train, val, test), each ascending."""
    labelled = (labels >= 0).nonzero().squeeze(1)
    order = labelled[torch.randperm(len(labelled), generator=generator(seed, "split"))]
    first, second = round(train * len(order)), round((train + val) * len(order))
    return order[:first].sort().values, order[first:second].sort().values, order[second:].sort().values
