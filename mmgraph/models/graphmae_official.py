"""State dicts of GraphMAE's official repository in our names: branch main (DGL) and branch pyg."""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import Tensor

from core.errors import UserError

# Parameters that the official modules have and never use.
UNUSED = re.compile(r"(encoder|decoder)\.activation\.weight|.*\.lin_dst\.weight|.*\.eps")
GAT = {
    "fc.weight": "linear.weight",  # main
    "attn_l": "att_source",
    "attn_r": "att_target",
    "lin_src.weight": "linear.weight",  # pyg
    "att_src": "att_source",
    "att_dst": "att_target",
    "bias": "bias",  # both
    "res_fc.weight": "residual.weight",
}
GIN_MLP = {"linears.0": "inner", "norms.0": "norm", "activations.0": "activation", "linears.1": "outer"}


def from_official(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official names to ours.

    Raises:
        UserError: an entry that GraphMAE does not have.
    """
    used = {name: tensor for name, tensor in weights.items() if not UNUSED.fullmatch(name)}
    return renamed(used, _ours, "GraphMAE")


def renamed(weights: dict[str, Tensor], ours: Callable[[str], str | None], system: str) -> dict[str, Tensor]:
    """Weights by our names; attention vectors lose a first dimension that only the official code gives them.

    Raises:
        UserError: an entry that ``ours`` has no name for.
    """
    found = {}
    for name, tensor in weights.items():
        own = ours(name)
        if own is None:
            raise UserError(f"{name} is not an entry of {system}'s official state dict")
        found[own] = tensor[0] if own.endswith(("att_source", "att_target")) else tensor
    return found


def _ours(name: str) -> str | None:
    if name == "enc_mask_token":
        return "encoder.token"
    if name == "encoder_to_decoder.weight":
        return "objectives.sce.head.bridge.weight"
    return of_stack(name, "encoder", "encoder.encoder") or of_decoder(name, "objectives.sce.head.layer")


def of_stack(name: str, theirs: str, ours: str) -> str | None:
    """The name of an entry of an encoder's stack: theirs begins with ``theirs``, ours with ``ours``; None if it is none."""
    part = re.fullmatch(rf"{theirs}\.(?:gat_layers|layers)\.(\d+)\.(.+)", name)
    if part is None:
        return None
    number, rest = part.groups()
    if rest in ("activation.weight", "nn.act.weight", "apply_func.act.weight"):
        return f"{ours}.activations.{number}.weight"
    norm = re.fullmatch(r"(?:nn\.|apply_func\.)?norm\.(\w+)", rest)
    return f"{ours}.norms.{number}.{norm.group(1)}" if norm else _of_layer(rest, f"{ours}.layers.{number}")


def of_decoder(name: str, ours: str) -> str | None:
    """The name of an entry of the decoder's one layer, or None."""
    part = re.fullmatch(r"decoder\.(?:gat_layers|layers)\.0\.(.+)", name)
    return _of_layer(part.group(1), ours) if part else None


def _of_layer(rest: str, ours: str) -> str | None:
    if rest in GAT:
        return f"{ours}.{GAT[rest]}"
    mlp = re.fullmatch(r"(?:nn|apply_func)\.(?:mlp\.)?(linears\.\d|norms\.0|activations\.0)\.(\w+)", rest)
    return f"{ours}.{GIN_MLP[mlp.group(1)]}.{mlp.group(2)}" if mlp else None
