"""State dicts of fair-esm's MSA Transformer in our names."""

from __future__ import annotations

import re

from torch import Tensor

from core.errors import UserError
from mmbio.models.official_qkv import joined_qkv

PAD = 1  # fair-esm's positions begin behind the padding token
NAMES = {
    "embed_tokens.weight": "encoder.embedding.weight",
    "embed_positions.weight": "encoder.position.weight",
    "msa_position_embedding": "encoder.row_position",
    "emb_layer_norm_before.weight": "encoder.norm_before.weight",
    "emb_layer_norm_before.bias": "encoder.norm_before.bias",
    "emb_layer_norm_after.weight": "encoder.norm_after.weight",
    "emb_layer_norm_after.bias": "encoder.norm_after.bias",
    "lm_head.weight": "objectives.lm.head.weight",
    "lm_head.bias": "objectives.lm.head.bias",
    "lm_head.dense.weight": "objectives.lm.head.dense.weight",
    "lm_head.dense.bias": "objectives.lm.head.dense.bias",
    "lm_head.layer_norm.weight": "objectives.lm.head.norm.weight",
    "lm_head.layer_norm.bias": "objectives.lm.head.norm.bias",
}
BRANCH = {"row_self_attention": "rows", "column_self_attention": "columns", "feed_forward_layer": "mlp"}
PARTS = {"layer.out_proj": "proj", "layer.fc1": "fc1", "layer.fc2": "fc2"}


def from_official(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official names to ours, of a module's state dict or of a released file.

    In released files, whose names begin with ``encoder.``, rows and columns are the other way round, which fair-esm's loader
    turns too. The regression of contacts on maps is none of this model's; ``mmbio convert`` keeps it.

    Raises:
        UserError: an entry that this model does not have, or a layer without its query, key or value.
    """
    released = any(name.startswith("encoder.") for name in weights)
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for given, tensor in weights.items():
        name = _plain(given) if released else given
        if name.startswith("contact_head."):
            continue
        projection = re.fullmatch(
            r"layers\.(\d+)\.(row|column)_self_attention\.layer\.([qkv])_proj\.(weight|bias)", name
        )
        if projection:
            layer, axis, letter, part = projection.groups()
            own = f"encoder.blocks.{layer}.{BRANCH[f'{axis}_self_attention']}.qkv.{part}"
            parts.setdefault(own, {})[letter] = tensor
            continue
        known = NAMES.get(name) or _of_layer(name)
        if known is None:
            raise UserError(f"{given} is not an entry of the official state dict of the MSA Transformer")
        if known == "encoder.position.weight":
            tensor = tensor[PAD + 1 :]
        elif known == "encoder.row_position":
            width = weights[next(n for n in weights if n.endswith("embed_tokens.weight"))].shape[1]
            tensor = tensor[0, :, 0].expand(-1, width).contiguous()  # the first release has one number a row
        found[known] = tensor
    return found | joined_qkv(parts)


def _plain(name: str) -> str:
    """A name of a released file as the module has it."""
    name = name.removeprefix("encoder.").removeprefix("sentence_encoder.")
    if "row" in name:
        return name.replace("row", "column")
    return name.replace("column", "row")


def _of_layer(name: str) -> str | None:
    part = re.fullmatch(r"layers\.(\d+)\.(\w+)\.(layer_norm|layer\.\w+)\.(weight|bias)", name)
    if part is None or part.group(2) not in BRANCH:
        return None
    number, branch, rest, kind = part.groups()
    if rest == "layer_norm":
        return f"encoder.blocks.{number}.norm_{BRANCH[branch]}.{kind}"
    return f"encoder.blocks.{number}.{BRANCH[branch]}.{PARTS[rest]}.{kind}" if rest in PARTS else None
