"""State dicts of AbBERT (KyGao/ABGNN, fairseq) in our names."""

from __future__ import annotations

import re

from torch import Tensor

from core.errors import UserError
from mmbio.models.official_qkv import joined_qkv

ENCODER = "encoder.sentence_encoder."
HEAD = "encoder.lm_head."
PAD = 1  # fairseq's positions begin behind the padding token
NAMES = {
    "embed_tokens.weight": "embedding.weight",
    "embed_positions.weight": "position.weight",
    "segment_embeddings.weight": "kind.weight",
    "emb_layer_norm.weight": "norm.weight",
    "emb_layer_norm.bias": "norm.bias",
}
LAYER = {
    "self_attn.out_proj": "attn.proj",
    "self_attn_layer_norm": "norm1",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
    "final_layer_norm": "norm2",
}


def from_official(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official names to ours; what the released files have beside the language model (structure decoder, prompt) is left.

    Raises:
        UserError: an entry of the language model that this model does not have, or a layer without query, key or value.
    """
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        if name.startswith(HEAD):
            rest = name.removeprefix(HEAD).replace("layer_norm.", "norm.")
            found[f"objectives.lm.head.{rest}"] = tensor
        elif name.startswith(ENCODER):
            rest = name.removeprefix(ENCODER)
            if rest == "version":
                continue
            projection = re.fullmatch(r"layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)", rest)
            if projection:
                layer, letter, part = projection.groups()
                parts.setdefault(f"encoder.bert.transformer.blocks.{layer}.attn.qkv.{part}", {})[letter] = tensor
                continue
            own = NAMES.get(rest) or _of_layer(rest)
            if own is None:
                raise UserError(f"{name} is not an entry of the official state dict of AbBERT")
            found[f"encoder.bert.{own}"] = tensor[PAD + 1 :] if own == "position.weight" else tensor
    return found | joined_qkv(parts)


def _of_layer(rest: str) -> str | None:
    part = re.fullmatch(r"layers\.(\d+)\.(.+)\.(weight|bias)", rest)
    own = part and LAYER.get(part.group(2))
    return f"transformer.blocks.{part.group(1)}.{own}.{part.group(3)}" if part and own else None
