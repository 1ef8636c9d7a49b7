"""Weights of fair-esm (ESM-1b, ESM-1v, ESM-2), also in the layout of Hugging Face, as our models, and back."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.errors import UserError
from core.saving import load_strictly, state_dict_of
from mmbio.config import ESM1bConfig, ESM2Config
from mmbio.models.esm1b import ESM1b
from mmbio.models.esm2 import ESM2
from mmbio.proteins.alphabet import ESM

ModelOfESM = ESM1b | ESM2

LAYER = {
    "self_attn.out_proj": "attn.proj",
    "self_attn_layer_norm": "norm1",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
    "final_layer_norm": "norm2",
}
"""Our names of a layer's modules by those of fair-esm; queries, keys and values are one module of ours."""

AROUND = {
    "emb_layer_norm_before": "encoder.norm_before",
    "emb_layer_norm_after": "encoder.transformer.norm",
    "lm_head.dense": "objectives.lm.head.dense",
    "lm_head.layer_norm": "objectives.lm.head.norm",
}
"""Our names of the modules around the layers."""

HUGGING_FACE = (
    ("encoder.layer.", "layers."),
    ("attention.self.query.", "self_attn.q_proj."),
    ("attention.self.key.", "self_attn.k_proj."),
    ("attention.self.value.", "self_attn.v_proj."),
    ("attention.output.dense.", "self_attn.out_proj."),
    ("attention.LayerNorm.", "self_attn_layer_norm."),
    ("intermediate.dense.", "fc1."),
    ("output.dense.", "fc2."),
    ("LayerNorm.", "final_layer_norm."),
    ("embeddings.word_embeddings.", "embed_tokens."),
    ("embeddings.position_embeddings.", "embed_positions."),
    ("embeddings.layer_norm.", "emb_layer_norm_before."),
    ("encoder.emb_layer_norm_after.", "emb_layer_norm_after."),
    ("lm_head.decoder.", "lm_head."),
)
"""Parts of names of Hugging Face and of fair-esm, in the order in which they are replaced."""

PREFIX = re.compile(r"^(model\.)?(encoder\.sentence_encoder\.|encoder\.)?")
COMPUTED = re.compile(r"inv_freq$|position_ids$|_float_tensor$|version$|^pooler\.")
PLACES_BEFORE = 2
"""Rows of the official table of positions that no residue has: padding is token 1, and counting begins behind it."""


class Official(NamedTuple):
    """What an official file holds: weights by fair-esm's names, (1, layers x heads) regression of contacts with bias or None."""

    weights: dict[str, Tensor]
    contacts: tuple[Tensor, Tensor] | None


def plain_names(weights: Mapping[str, Tensor]) -> Official:
    """Weights of fair-esm's files, or of Hugging Face, by the names that fair-esm's modules have.

    Prefixes of the training code go, and so do tables that are computed (angles of rotations, numbers of positions).
    """
    found, contacts = {}, {}
    foreign = any("encoder.layer." in name for name in weights)
    for name, tensor in weights.items():
        if foreign:
            name = name.removeprefix("esm.")
            for theirs, ours in HUGGING_FACE:
                name = name.replace(theirs, ours, 1)
        else:
            name = PREFIX.sub("", name)
        if name.startswith("contact_head.regression."):
            contacts[name.rpartition(".")[2]] = tensor
        elif not COMPUTED.search(name):
            found[name] = tensor
    given = (contacts["weight"], contacts["bias"]) if contacts.keys() >= {"weight", "bias"} else None
    return Official(found, given)


def from_official(weights: Mapping[str, Tensor], model: ModelOfESM) -> dict[str, Tensor]:
    """Official names to ours, for a model of the same sizes; a regression of contacts is left out.

    The official loader sets the mask token's embedding of ESM-1b and ESM-1v to zero, and so do we.

    Raises:
        UserError: an entry that the official model does not have, or a head that is not tied to the embeddings.
    """
    given = dict(plain_names(weights).weights)
    found = {}
    try:
        for layer in range(model.config.depth):
            ours = f"encoder.transformer.blocks.{layer}"
            for entry in ("weight", "bias"):
                parts = [given.pop(f"layers.{layer}.self_attn.{part}_proj.{entry}") for part in "qkv"]
                found[f"{ours}.attn.qkv.{entry}"] = torch.cat(parts)
        table = given.pop("embed_tokens.weight")
        if isinstance(model, ESM1b):
            found["encoder.position.weight"] = given.pop("embed_positions.weight")[PLACES_BEFORE:]
            table = table.clone()
            table[ESM.mask_id] = 0
    except KeyError as error:
        raise UserError(f"{error.args[0]} is missing; expected the state dict of ESM-1b, ESM-1v or ESM-2") from error
    head = given.pop("lm_head.weight", table)
    rows = [number for number in range(len(table)) if number != ESM.mask_id or not isinstance(model, ESM1b)]
    if head.shape != table.shape or not torch.equal(head[rows], table[rows]):
        raise UserError(
            "lm_head.weight differs from embed_tokens.weight; expected a head that is tied to the embeddings"
        )
    found |= {"encoder.embedding.weight": table, "objectives.lm.head.weight": table}
    if "lm_head.bias" in given:
        found["objectives.lm.head.bias"] = given.pop("lm_head.bias")
    names = module_names(model)
    for name, tensor in given.items():
        module, _, entry = name.rpartition(".")
        if module not in names:
            raise UserError(f"{name} is not an entry of the state dict of {type(model).__name__}")
        found[f"{names[module]}.{entry}"] = tensor
    return found


def module_names(model: ModelOfESM) -> dict[str, str]:
    """Our names of modules whose weights are the same tensors, by the official ones."""
    names = dict(AROUND)
    if not (isinstance(model, ESM1b) and model.config.norm_before):
        del names["emb_layer_norm_before"]
    for layer in range(model.config.depth):
        names |= {f"layers.{layer}.{t}": f"encoder.transformer.blocks.{layer}.{o}" for t, o in LAYER.items()}
    return names


def to_official(model: ModelOfESM) -> dict[str, Tensor]:
    """The state dict of fair-esm's module with a model's weights, but for the regression of contacts and computed tables.

    Rows of ESM-1b's table of positions that no residue has are zeros.
    """
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    found = {"embed_tokens.weight": weights["encoder.embedding.weight"]}
    found |= {f"lm_head.{entry}": weights[f"objectives.lm.head.{entry}"] for entry in ("weight", "bias")}
    if isinstance(model, ESM1b):
        table = weights["encoder.position.weight"]
        found["embed_positions.weight"] = torch.cat([table.new_zeros(PLACES_BEFORE, table.shape[1]), table])
    for layer in range(model.config.depth):
        for entry in ("weight", "bias"):
            parts = weights[f"encoder.transformer.blocks.{layer}.attn.qkv.{entry}"].chunk(3)
            found |= {f"layers.{layer}.self_attn.{p}_proj.{entry}": t for p, t in zip("qkv", parts, strict=True)}
    for theirs, ours in module_names(model).items():
        found |= {f"{theirs}.{entry}": weights[f"{ours}.{entry}"] for entry in ("weight", "bias")}
    return found


def load_official(content: Mapping[str, Any], source: str, heads: int | None = None) -> ModelOfESM:
    """A model in evaluation mode with the weights of an official file, its sizes taken from what the file holds.

    Width, depth and positions are those of the weights. The number of heads is what the settings in the file say, or what
    the width of the rotations or of a regression of contacts tells.

    Args:
        content: of the file: ``{"cfg": ..., "model": ...}``, ``{"args": ..., "model": ...}``, or a state dict.
        source: its name for messages.
        heads: where the file does not tell.

    Raises:
        UserError: another architecture, entries that are missing or of another shape, or a number of heads that is unknown.
    """
    weights = state_dict_of(dict(content), source)
    config = config_of(weights, settings(content), source, heads)
    model: ModelOfESM = ESM1b(config) if isinstance(config, ESM1bConfig) else ESM2(config)
    try:
        load_strictly(model, from_official(weights, model), source)
    except UserError as error:
        raise error if str(error).startswith(source) else UserError(f"{source}: {error}") from error
    model.eval()
    return model


def settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the official training code kept beside the weights, without the prefix ``encoder_``."""
    held = content.get("args")
    if isinstance(content.get("cfg"), Mapping | Namespace):
        cfg = content["cfg"]
        held = cfg.get("model") if isinstance(cfg, Mapping) else getattr(cfg, "model", None)
    values = vars(held) if isinstance(held, Namespace) else dict(held) if isinstance(held, Mapping) else {}
    return {str(name).removeprefix("encoder_"): value for name, value in values.items()}


def config_of(
    weights: Mapping[str, Tensor], said: Mapping[str, Any], source: str, heads: int | None = None
) -> ESM1bConfig | ESM2Config:
    """Sizes as weights and settings tell them; errors as :func:`load_official`."""
    plain, contacts = plain_names(weights)
    numbers = {int(match[1]) for name in plain if (match := re.match(r"layers\.(\d+)\.", name))}
    table = plain.get("embed_tokens.weight")
    if table is None or table.ndim != 2 or not numbers or "emb_layer_norm_after.weight" not in plain:
        raise UserError(f"{source}: not the weights of ESM-1b, ESM-1v or ESM-2")
    depth, dim = max(numbers) + 1, table.shape[1]
    angles = next((tensor for name, tensor in weights.items() if name.endswith("inv_freq")), None)
    if heads is None and isinstance(said.get("attention_heads"), int):
        heads = int(said["attention_heads"])
    if heads is None and angles is not None:
        heads = dim // (2 * len(angles))
    if heads is None and contacts is not None:
        heads = contacts[0].shape[-1] // depth
    if heads is None:
        raise UserError(f"{source}: does not say how many attention heads its model has; give the number, or a recipe")
    if heads < 1 or dim % heads:
        raise UserError(f"{source}: {heads} attention heads do not divide its width {dim}")
    dropout = bool(said.get("token_dropout", True))
    if "embed_positions.weight" not in plain:
        return ESM2Config(dim, depth, heads, dropout)
    places = len(plain["embed_positions.weight"]) - PLACES_BEFORE
    before = "emb_layer_norm_before.weight" in plain
    return ESM1bConfig(dim, depth, heads, dropout, positions=places, norm_before=before)
