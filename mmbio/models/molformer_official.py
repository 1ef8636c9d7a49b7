"""Checkpoints of MolFormer's official repository in our names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import UserError
from core.files import open_text
from core.random import generator
from core.saving import load_strictly
from mmbio.config import MolFormerConfig
from mmbio.models.molformer import MolFormer
from mmbio.molecules.vocabulary import SPECIAL

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
    """The tokens of the official ``bert_vocab.txt``, one a line in the order of their ids.

    Raises:
        UserError: it cannot be read, an empty line, a token that is there twice, or a special token that is missing.
    """
    tokens = open_text(path).splitlines()
    lines: dict[str, int] = {}
    for number, token in enumerate(tokens, 1):
        if not token or token != token.strip():
            raise UserError(f"{path}, line {number}: {token!r}; expected one token, without white space")
        if token in lines:
            raise UserError(f"{path}, line {number}: {token!r} stands in line {lines[token]} already")
        lines[token] = number
    missing = [token for token in SPECIAL if token not in lines]
    if missing:
        raise UserError(f"{path}: {', '.join(missing)} missing; expected MolFormer's bert_vocab.txt, one token a line")
    return tuple(tokens)


def with_tokens(config: Any, vocabulary: str | None, recipe: str) -> Any:
    """A copy of a network's configuration with the tokens of a file; as it is where none is given.

    Args:
        vocabulary: as :func:`read_vocabulary` takes it, or None.
        recipe: the configuration's, for messages.

    Raises:
        UserError: MolFormer without tokens, tokens for another network, or what :func:`read_vocabulary` raises.
    """
    if not isinstance(config, MolFormerConfig):
        if vocabulary is not None:
            raise UserError(f"--vocabulary {vocabulary}: only MolFormer takes one; {recipe} is of another network")
        return config
    if vocabulary is not None:
        return dataclasses.replace(config, tokens=read_vocabulary(vocabulary))
    if not config.tokens:
        raise UserError(
            f"{recipe}: MolFormer's weights do not say its tokens; give --vocabulary, bert_vocab.txt of the official code"
        )
    return config


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
    load_strictly(model, for_model(weights, model), "MolFormer's official weights")
    return model.eval()


def for_model(weights: Mapping[str, Tensor], model: MolFormer) -> dict[str, Tensor]:
    """Official names to ours, for a model of the same sizes; random features that are not there are drawn, always the same.

    Raises:
        UserError: another number of tokens, or what :func:`renamed` raises.
    """
    ours = renamed(weights)
    table = ours.get("encoder.embedding.weight")
    if table is not None and len(table) != len(model.vocabulary):
        raise UserError(f"embeddings of {len(table)} tokens; the vocabulary has {len(model.vocabulary)}")
    features = model.draw_features(generator(0, "features"))
    for layer, omega in enumerate(() if features is None else features):
        ours.setdefault(f"encoder.blocks.{layer}.attn.omega", omega)
    return ours


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
