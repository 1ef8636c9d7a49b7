"""Checkpoints of MolFormer's official repository in our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from core.errors import UserError
from core.files import open_text
from core.saving import check_weights
from mmbio.config import MolFormerConfig
from mmbio.models.molformer import MolFormer

LAYER = re.compile(r"blocks\.layers\.(\d+)\.(.+)")
IN_LAYER = {
    "attention.out_projection": "attn.proj",
    "linear1": "fc1",
    "linear2": "fc2",
    "norm1": "norm1",
    "norm2": "norm2",
}
OUTSIDE = {
    "tok_emb": "encoder.embedding",
    "blocks.norm": "encoder.norm",
    "lang_model.embed": "objectives.lm.head.dense",
    "lang_model.ln_f": "objectives.lm.head.norm",
    "lang_model.head": "objectives.lm.head.out",
}
QKV = ("query", "key", "value")
OMEGA = "attention.inner_attention.feature_map.omega"


def read_vocabulary(path: str | Path) -> tuple[str, ...]:
    """The tokens of the official ``bert_vocab.txt``, one a line.

    Raises:
        UserError: it cannot be read.
    """
    return tuple(open_text(path).splitlines())


def from_official(weights: Mapping[str, Tensor], tokens: tuple[str, ...], heads: int, features: int = 32) -> MolFormer:
    """The model of an official state dict, in evaluation mode.

    Args:
        weights: of the language model; a checkpoint file has it under ``state_dict``.
        tokens: in the order of their ids (:func:`read_vocabulary`); the ``<unk>`` of the file included.
        heads: attention heads, which the weights do not tell.
        features: random features a head, where the weights have none; those are then drawn anew.

    Raises:
        UserError: entries that MolFormer does not have, or that are missing, or another number of tokens.
    """
    ours = renamed(weights)
    layers = [int(m[1]) for m in map(LAYER.match, weights) if m]
    try:
        dim, hidden = ours["encoder.embedding.weight"].shape[1], ours["encoder.blocks.0.fc1.weight"].shape[0]
        omega = ours.get("encoder.blocks.0.attn.omega")
        features = features if omega is None else omega.shape[1]
        config = MolFormerConfig(
            dim=dim, depth=max(layers) + 1, heads=heads, hidden=hidden, features=features, tokens=tuple(tokens)
        )
        model = MolFormer(config)
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"MolFormer's official weights: not of such a model ({error})") from error
    for name, buffer in model.named_buffers():
        ours.setdefault(name, buffer)
    check_weights(model, ours, "MolFormer's official weights")
    model.load_state_dict(ours)
    return model.eval()


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official names to ours; queries, keys and values become one matrix.

    Raises:
        UserError: an entry that MolFormer does not have.
    """
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        if name.endswith("rotaryemb.inv_freq"):  # a constant
            continue
        stem, _, kind = name.rpartition(".")
        layer = LAYER.fullmatch(name)
        if layer is None:
            if stem not in OUTSIDE:
                raise UserError(f"{name} is not an entry of MolFormer's official state dict")
            found[f"{OUTSIDE[stem]}.{kind}"] = tensor
            continue
        block, inner = f"encoder.blocks.{layer[1]}", layer[2].rpartition(".")[0]
        which = inner.removeprefix("attention.").removesuffix("_projection")
        if which in QKV:
            parts.setdefault(f"{block}.attn.qkv.{kind}", {})[which] = tensor
        elif layer[2] == OMEGA:
            found[f"{block}.attn.omega"] = tensor
        elif inner in IN_LAYER:
            found[f"{block}.{IN_LAYER[inner]}.{kind}"] = tensor
        else:
            raise UserError(f"{name} is not an entry of MolFormer's official state dict")
    for name, three in parts.items():
        if len(three) < 3:
            raise UserError(f"MolFormer's official weights: {name} needs queries, keys and values")
        found[name] = torch.cat([three[which] for which in QKV])
    return found
