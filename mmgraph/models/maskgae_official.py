"""State dicts of MaskGAE's official repository in our names."""

from __future__ import annotations

import re

from torch import Tensor

from core.errors import UserError
from mmgraph.config import MaskGAEConfig

LAYERS = {"0": "inner", "1": "outer"}


def from_official(weights: dict[str, Tensor], config: MaskGAEConfig) -> dict[str, Tensor]:
    """Official names to ours.

    Args:
        config: of the model that is to have them. Without a degree loss the official decoder, which is there all the same, is
            left out.

    Raises:
        UserError: an entry that MaskGAE with graph convolution and two layers in its decoders does not have.
    """
    found = {}
    for name, tensor in weights.items():
        if not config.degree_weight and name.startswith("degree_decoder."):
            continue
        ours = _ours(name)
        if ours is None:
            raise UserError(f"{name} is not an entry of the official state dict of MaskGAE with graph convolution")
        found[ours] = tensor
    return found


def _ours(name: str) -> str | None:
    conv = re.fullmatch(r"encoder\.convs\.(\d+)\.(bias|lin\.weight)", name)
    if conv:
        return f"encoder.layers.{conv.group(1)}.{conv.group(2).replace('lin.', 'linear.')}"
    norm = re.fullmatch(r"encoder\.bns\.(\d+\.\w+)", name)
    if norm:
        return f"encoder.norms.{norm.group(1)}"
    head = re.fullmatch(r"(edge|degree)_decoder\.mlps\.([01])\.(weight|bias)", name)
    return f"objectives.{head.group(1)}.head.{LAYERS[head.group(2)]}.{head.group(3)}" if head else None
