"""State dicts of GraphMAE's official repository (branch pyg) in our names, and back."""

from __future__ import annotations

import re

from torch import Tensor

from core.errors import UserError

# Parameters that the official modules have and never use.
UNUSED = re.compile(r"(encoder|decoder)\.activation\.weight|.*\.lin_dst\.weight|.*\.eps")
GAT = {"lin_src.weight": "linear.weight", "att_src": "att_source", "att_dst": "att_target", "bias": "bias"}
GIN_MLP = {"linears.0": "inner", "norms.0": "norm", "activations.0": "activation", "linears.1": "outer"}


def from_official(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official names to ours.

    Raises:
        UserError: an entry that GraphMAE does not have.
    """
    found = {}
    for name, tensor in weights.items():
        if UNUSED.fullmatch(name):
            continue
        ours = _ours(name)
        if ours is None:
            raise UserError(f"{name} is not an entry of GraphMAE's official state dict")
        found[ours] = tensor[0] if ours.endswith(("att_source", "att_target")) else tensor
    return found


def _ours(name: str) -> str | None:
    if name == "enc_mask_token":
        return "encoder.token"
    if name == "encoder_to_decoder.weight":
        return "objectives.sce.head.bridge.weight"
    part = re.fullmatch(r"(encoder|decoder)\.(?:gat_layers|layers)\.(\d+)\.(.+)", name)
    if part is None:
        return None
    side, number, rest = part.groups()
    layer = f"encoder.encoder.layers.{number}" if side == "encoder" else "objectives.sce.head.layer"
    stack = "encoder.encoder"
    if rest in GAT:
        return f"{layer}.{GAT[rest]}"
    if rest in ("activation.weight", "nn.act.weight") and side == "encoder":
        return f"{stack}.activations.{number}.weight"
    norm = re.fullmatch(r"(?:nn\.)?norm\.(\w+)", rest)
    if norm and side == "encoder":
        return f"{stack}.norms.{number}.{norm.group(1)}"
    mlp = re.fullmatch(r"nn\.(?:mlp\.)?(linears\.\d|norms\.0|activations\.0)\.(\w+)", rest)
    return f"{layer}.{GIN_MLP[mlp.group(1)]}.{mlp.group(2)}" if mlp else None
