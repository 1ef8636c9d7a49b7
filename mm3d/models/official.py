"""Weights of official repositories of the Point-BERT family as ours, and back.

A map of names is from prefixes of official entries to prefixes of ours. Their 1x1 convolutions (out, in, 1) or (out, in, 1, 1)
are linear layers (out, in) here, and their tokens (1, 1, C) have fewer dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from core.errors import UserError

Names = Mapping[str, str]

EMBED = {
    "first_conv.0": "point1",
    "first_conv.1": "norm1",
    "first_conv.3": "point2",
    "second_conv.0": "mix",
    "second_conv.1": "norm2",
    "second_conv.3": "out",
}
"""The mini-PointNet, which is called ``encoder`` there."""

_CONVOLUTIONS = (
    (1, re.compile(r"(^|\.)((first_conv|second_conv)\.[03]|increase_dim\.0|input_trans|layer5\.0|final_conv\.[036])\.weight$")),
    (2, re.compile(r"(^|\.)layer[1-4]\.0\.weight$")),
)  # fmt: skip
_TOKENS = {"mask_token": 1, "cls_token": 1, "cls_pos": 2}  # dimensions here


def state_dict_of(checkpoint: dict[str, Any], source: str, of: str = "Point-MAE") -> dict[str, Tensor]:
    """The state dict inside an official checkpoint, without wrappers and prefixes.

    Args:
        of: the names of the models that it may hold, for messages.

    Raises:
        UserError: nothing in it looks like weights of the family.
    """
    state = checkpoint.get("base_model", checkpoint)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{source}: no state dict found; expected tensors by name, or under 'base_model'")
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    if not any(name.endswith("first_conv.0.weight") for name in state):
        raise UserError(f"{source}: not a {of} checkpoint (no first_conv.0.weight among {len(state)} entries)")
    return state


def from_official(
    state: Mapping[str, Tensor], names: Names, source: str = "checkpoint", of: str = "Point-MAE"
) -> dict[str, Tensor]:
    """Official entries under our names.

    Raises:
        UserError: an entry that the map does not know.
    """
    converted = {}
    for name, tensor in state.items():
        prefix = next((old for old in names if name.startswith(old)), None)
        if prefix is None:
            raise UserError(f"{source}: {name} is not an entry of {of}")
        ones, dimensions = _ones(name), _dimensions(name)
        if ones:
            tensor = tensor.view(tensor.shape[: tensor.ndim - ones])
        elif dimensions:
            tensor = tensor.flatten(0, 3 - dimensions)
        converted[names[prefix] + name[len(prefix) :]] = tensor
    return converted


def to_official(state: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """Our entries under the official names and shapes: the inverse of :func:`from_official`."""
    converted = {}
    for name, tensor in state.items():
        old, new = next((old, new) for old, new in names.items() if name.startswith(new))
        official = old + name[len(new) :]
        if _ones(official):
            tensor = tensor[(..., *[None] * _ones(official))]
        elif _dimensions(official):
            tensor = tensor.view(1, 1, -1)
        converted[official] = tensor
    return converted


def depth_of(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many blocks stand under a prefix such as ``blocks.blocks.``."""
    found = {int(m.group(1)) for name in state if (m := re.match(re.escape(prefix) + r"(\d+)\.", name))}
    return max(found, default=-1) + 1


def _ones(name: str) -> int:
    """Trailing dimensions of 1 that an official entry has."""
    return next((ones for ones, pattern in _CONVOLUTIONS if pattern.search(name)), 0)


def _dimensions(name: str) -> int:
    """Dimensions that a token has here; 0 for what is none."""
    return _TOKENS.get(name.rpartition(".")[2], 0)
