"""Models while nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

BATCH_TOKENS = 8_192
"""Tokens that go through a model together."""


@contextmanager
def evaluating(model: Any) -> Iterator[torch.device]:
    """A model in evaluation mode and without gradients for a while, whatever happens; gives its device."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield next(model.parameters()).device
    finally:
        model.train(was_training)
