"""Checkpoints of MolFormer, of its official repository or as Hugging Face writes them, in our names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from core.errors import UserError
from core.random import generator
from core.saving import load_strictly
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
HUGGING_FACE = (
    (re.compile(r"^molformer\."), ""),
    (re.compile(r"^encoder\.layer\."), "blocks.layers."),
    (re.compile(r"\.attention\.self\.(query|key|value)\."), r".attention.\1_projection."),
    (re.compile(r"\.attention\.self\.feature_map\.weight$"), f".{OMEGA}"),
    (re.compile(r"\.attention\.output\.dense\."), ".attention.out_projection."),
    (re.compile(r"\.attention\.output\.LayerNorm\."), ".norm1."),
    (re.compile(r"\.intermediate\.dense\."), ".linear1."),
    (re.compile(r"\.output\.dense\."), ".linear2."),
    (re.compile(r"\.output\.LayerNorm\."), ".norm2."),
    (re.compile(r"^embeddings\.word_embeddings\."), "tok_emb."),
    (re.compile(r"^LayerNorm\."), "blocks.norm."),
    (re.compile(r"^lm_head\.transform\.dense\."), "lang_model.embed."),
    (re.compile(r"^lm_head\.transform\.LayerNorm\."), "lang_model.ln_f."),
    (re.compile(r"^lm_head\.decoder\."), "lang_model.head."),
)
"""Parts of names of Hugging Face and of the official code, in the order in which they are replaced."""


def from_official(weights: Mapping[str, Tensor], tokens: tuple[str, ...], heads: int, features: int = 32) -> MolFormer:
    """The model of an official state dict, in evaluation mode.

    Args:
        weights: of the language model; a checkpoint file has it under ``state_dict``.
        tokens: in the order of their ids (:func:`~mmbio.models.molformer_tokens.read_vocabulary`); the ``<unk>`` of the file
            included.
        heads: attention heads, which the weights do not tell.
        features: random features a head, where the weights have none; those are then drawn anew.

    Raises:
        UserError: entries that MolFormer does not have, or that are missing, or another number of tokens.
    """
    ours = renamed(weights)
    layers = {name.split(".")[2] for name in ours if name.startswith("encoder.blocks.")}
    try:
        dim, hidden = ours["encoder.embedding.weight"].shape[1], ours["encoder.blocks.0.fc1.weight"].shape[0]
        omega = ours.get("encoder.blocks.0.attn.omega")
        features = features if omega is None else omega.shape[1]
        config = MolFormerConfig(
            dim=dim, depth=len(layers), heads=heads, hidden=hidden, features=features, tokens=tuple(tokens)
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
    """Official names, or Hugging Face's, to ours; queries, keys and values become one matrix.

    Raises:
        UserError: an entry that MolFormer does not have.
    """
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    foreign = any(".attention.self." in name for name in weights)
    for given, tensor in weights.items():
        if given.endswith("inv_freq"):  # a constant
            continue
        name = given
        for theirs, official in HUGGING_FACE if foreign else ():
            name = theirs.sub(official, name)
        stem, _, kind = name.rpartition(".")
        layer = LAYER.fullmatch(name)
        if layer is None:
            if stem not in OUTSIDE:
                raise UserError(f"{given} is not an entry of MolFormer's official state dict")
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
            raise UserError(f"{given} is not an entry of MolFormer's official state dict")
    for name, three in parts.items():
        if len(three) < 3:
            raise UserError(f"MolFormer's official weights: {name} needs queries, keys and values")
        found[name] = torch.cat([three[which] for which in QKV])
    return found
