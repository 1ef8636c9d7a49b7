"""Models of run folders on a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.devices import move_to
from mmbio.models import load_model


def load_model_on(source: str | Path, device: str) -> Any:
    """A saved model on a device ("auto": a GPU where there is one).

    Raises:
        UserError: a device that is not there, and what loading raises.
    """
    model = load_model(source)
    move_to(model, device)
    return model
