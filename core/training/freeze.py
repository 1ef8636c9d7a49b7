"""Which parameters a fine-tuning trains."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def freeze_unused(model: nn.Module, encoder: nn.Module, features: Callable[[], Tensor]) -> None:
    """Train nothing of an encoder that features do not depend on, such as mask tokens, heads of the pretraining, a teacher.

    Args:
        model: what is fine-tuned; in training mode afterwards.
        encoder: the part of it that was pretrained.
        features: computes some of a few samples, in evaluation mode.
    """
    model.eval()
    wanted = [p for p in encoder.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(features().sum(), wanted, allow_unused=True)
    for parameter, gradient in zip(wanted, gradients, strict=True):
        parameter.requires_grad_(gradient is not None)
    model.train()
