"""The control of every evaluation: the network without its pretraining."""

from __future__ import annotations

from typing import Any

import torch

from core.random import derive_seed


def untrained(model: Any, seed: int) -> Any:
    """The same network with fresh weights, on the same device, in evaluation mode.

    Args:
        model: of a class that is built from its ``config``.
    """
    torch.manual_seed(derive_seed(seed, "untrained"))
    return type(model)(model.config).to(next(model.parameters()).device).eval()
