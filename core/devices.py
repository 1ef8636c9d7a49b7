"""Devices by a word of the command line."""

from __future__ import annotations

from typing import TypeVar

from torch import cuda, device, nn

from core.errors import UserError

Model = TypeVar("Model", bound=nn.Module)


def moved(model: Model, word: str) -> Model:
    """The model on the device that a word names; as :func:`move_to`."""
    move_to(model, word)
    return model


def move_to(model: nn.Module, word: str) -> str:
    """Move a model to the device that a word names ("auto": a GPU where there is one), and give its name.

    Raises:
        UserError: no such device, or it is not there.
    """
    name = ("cuda" if cuda.is_available() else "cpu") if word == "auto" else word
    try:
        model.to(device(name))
    except (RuntimeError, AssertionError) as error:
        said = str(error).splitlines()[0]
        raise UserError(f"--device {name}: cannot be used ({said}); expected cpu, or cuda with a GPU") from error
    return name
