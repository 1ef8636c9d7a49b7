"""State dicts of TAPE's repository (songlab-cal/tape) in our names."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from core.errors import UserError

QKV = ("query", "key", "value")
NAMES = {
    "bert.embeddings.word_embeddings.weight": "encoder.bert.embedding.weight",
    "bert.embeddings.position_embeddings.weight": "encoder.bert.position.weight",
    "bert.embeddings.LayerNorm.weight": "encoder.bert.norm.weight",
    "bert.embeddings.LayerNorm.bias": "encoder.bert.norm.bias",
    "bert.pooler.dense.weight": "pooler.weight",
    "bert.pooler.dense.bias": "pooler.bias",
    "mlm.bias": "objectives.lm.head.bias",
    "mlm.transform.dense.weight": "objectives.lm.head.dense.weight",
    "mlm.transform.dense.bias": "objectives.lm.head.dense.bias",
    "mlm.transform.LayerNorm.weight": "objectives.lm.head.norm.weight",
    "mlm.transform.LayerNorm.bias": "objectives.lm.head.norm.bias",
}
LAYER = {
    "attention.output.dense": "attn.proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "output.LayerNorm": "norm2",
}


def from_official(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official names to ours; of the token types only the first is kept, the only one that the official code uses.

    Args:
        weights: a state dict of ProteinBertForMaskedLM.

    Raises:
        UserError: an entry that this model does not have, or a layer without its query, key or value.
    """
    found, rest = {}, dict(weights)
    decoder = rest.pop("mlm.decoder.weight", None)
    kinds = rest.pop("bert.embeddings.token_type_embeddings.weight", None)
    if kinds is not None:
        found["encoder.bert.kind.weight"] = kinds[:1]
    for name in [name for name in rest if ".attention.self.query." in name]:
        layer, _, part = name.partition(".attention.self.query.")
        names = [f"{layer}.attention.self.{kind}.{part}" for kind in QKV]
        missing = [n for n in names if n not in rest]
        if missing:
            raise UserError(f"{missing[0]} is missing in the official state dict of TAPE's transformer")
        found[_layer(layer, f"attn.qkv.{part}")] = torch.cat([rest.pop(n) for n in names])
    for name, tensor in rest.items():
        own = NAMES.get(name) or _of_layer(name)
        if own is None:
            raise UserError(f"{name} is not an entry of the official state dict of TAPE's transformer")
        found[own] = tensor
    tied = found.get("encoder.bert.embedding.weight", decoder)
    if tied is not None:
        found["objectives.lm.head.weight"] = tied
    return found


def _layer(theirs: str, rest: str) -> str:
    number = theirs.removeprefix("bert.encoder.layer.")
    return f"encoder.bert.transformer.blocks.{number}.{rest}"


def _of_layer(name: str) -> str | None:
    part = re.fullmatch(r"(bert\.encoder\.layer\.\d+)\.(.+)\.(weight|bias)", name)
    own = part and LAYER.get(part.group(2))
    return _layer(part.group(1), f"{own}.{part.group(3)}") if part and own else None
