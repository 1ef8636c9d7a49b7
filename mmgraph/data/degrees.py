"""Degrees as features, where nodes have none."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import UserError

MAX_DEGREE = 400


def one_hot_degrees(edges: Sequence[Tensor], nodes: Sequence[int]) -> list[Tensor]:
    """Out-degrees of the nodes of several graphs, larger ones as 400, one-hot and as wide for all: (N, F) float32 each.

    Raises:
        UserError: an edge to a node that is not there.

    Source: load_graph_classification_dataset in GraphMAE's official code.
    """
    for e, n in zip(edges, nodes, strict=True):
        if e.numel() and not 0 <= int(e.min()) <= int(e.max()) < n:
            raise UserError(f"edges name nodes {int(e.min())} to {int(e.max())}; there are 0 to {n - 1}")
    degrees = [torch.bincount(e[0], minlength=n).clamp(max=MAX_DEGREE) for e, n in zip(edges, nodes, strict=True)]
    width = max((int(d.max()) for d in degrees if len(d)), default=0) + 1
    return [F.one_hot(d, width).float() for d in degrees]
