"""Weights of the official Point-MAE repository as ours, and back.

Names of the official state dict stand left, ours right. Its 1x1 convolutions (out, in, 1) are linear layers (out, in) here.

Source: models/Point_MAE.py of github.com/Pang-Yatian/Point-MAE (checkpoints hold the state dict under ``base_model``,
with a ``module.`` prefix where it was trained on several GPUs).
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from core.errors import UserError
from mm3d.config import PatchEncoderConfig, PointClassifierConfig, PointMAEConfig

_EMBED = {
    "first_conv.0": "point1",
    "first_conv.1": "norm1",
    "first_conv.3": "point2",
    "second_conv.0": "mix",
    "second_conv.1": "norm2",
    "second_conv.3": "out",
}
_ENCODER = {f"encoder.{a}.": f"encoder.embed.{b}." for a, b in _EMBED.items()} | {
    "pos_embed.": "encoder.position.",
    "blocks.blocks.": "encoder.transformer.blocks.",
    "norm.": "encoder.transformer.norm.",
}
_DECODER = "objectives.chamfer.head."
PRETRAIN = {f"MAE_encoder.{a}": b for a, b in _ENCODER.items()} | {
    "decoder_pos_embed.": f"{_DECODER}position.",
    "MAE_decoder.blocks.": f"{_DECODER}transformer.blocks.",
    "MAE_decoder.norm.": f"{_DECODER}transformer.norm.",
    "increase_dim.0.": f"{_DECODER}points.",
    "mask_token": f"{_DECODER}mask_token",
}
CLASSIFIER = _ENCODER | {"cls_token": "cls_token", "cls_pos": "cls_position", "cls_head_finetune.": "head."}

_CONVOLUTION = re.compile(r"(first_conv|second_conv)\.[03]\.weight$|^increase_dim\.0\.weight$")
_TOKENS = {"mask_token": 1, "cls_token": 1, "cls_pos": 2}  # (1, 1, C) there; dimensions here


def state_dict_of(checkpoint: dict[str, Any], source: str) -> dict[str, Tensor]:
    """The state dict inside an official checkpoint, without wrappers and prefixes.

    Raises:
        UserError: nothing in it looks like Point-MAE's weights.
    """
    state = checkpoint.get("base_model", checkpoint)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{source}: no state dict found; expected tensors by name, or under 'base_model'")
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    if not any(name.endswith("first_conv.0.weight") for name in state):
        raise UserError(f"{source}: not a Point-MAE checkpoint (no first_conv.0.weight among {len(state)} entries)")
    return state


def from_official(state: dict[str, Tensor], names: dict[str, str], source: str = "checkpoint") -> dict[str, Tensor]:
    """Official entries under our names; ``names`` is :data:`PRETRAIN` or :data:`CLASSIFIER`.

    Raises:
        UserError: an entry that the map does not know.
    """
    converted = {}
    for name, tensor in state.items():
        prefix = next((old for old in names if name.startswith(old)), None)
        if prefix is None:
            raise UserError(f"{source}: {name} is not an entry of Point-MAE")
        if _CONVOLUTION.search(name):
            tensor = tensor.squeeze(-1)
        elif name in _TOKENS:
            tensor = tensor.flatten(0, 3 - _TOKENS[name])
        converted[names[prefix] + name[len(prefix) :]] = tensor
    return converted


def to_official(state: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    """Our entries under the official names and shapes: the inverse of :func:`from_official`."""
    converted = {}
    for name, tensor in state.items():
        old, new = next((old, new) for old, new in names.items() if name.startswith(new))
        official = old + name[len(new) :]
        if _CONVOLUTION.search(official):
            tensor = tensor.unsqueeze(-1)
        elif official in _TOKENS:
            tensor = tensor.view(1, 1, -1)
        converted[official] = tensor
    return converted


def config_of(
    state: dict[str, Tensor], heads: int, groups: int, group_size: int, source: str
) -> PointMAEConfig | PointClassifierConfig:
    """The configuration that official weights fit; what no tensor shows (heads, patches) is given.

    Raises:
        UserError: an entry that tells a size is missing.
    """

    def depth(prefix: str) -> int:
        found = {int(m.group(1)) for name in state if (m := re.match(re.escape(prefix) + r"(\d+)\.", name))}
        return max(found, default=-1) + 1

    pretrain = "mask_token" in state
    root = "MAE_encoder." if pretrain else ""
    try:
        dim = state[f"{root}norm.weight"].shape[0]
        encoder = PatchEncoderConfig(
            groups=groups, group_size=group_size, dim=dim, depth=depth(f"{root}blocks.blocks."), heads=heads
        )
        if pretrain:
            given = state["increase_dim.0.weight"].shape[0] // 3
            if given != group_size:
                raise UserError(
                    f"{source}: predicts {given} points a patch, not {group_size}; give --group_size {given}"
                )
            return PointMAEConfig(encoder, depth("MAE_decoder.blocks."), heads)
        count = state["cls_head_finetune.8.weight"].shape[0]
        hidden = state["cls_head_finetune.0.weight"].shape[0]
    except KeyError as error:
        raise UserError(
            f"{source}: entry {error} is missing; expected Point-MAE's pretraining or classifier weights"
        ) from error
    return PointClassifierConfig(encoder, tuple(f"class {i}" for i in range(count)), hidden)
