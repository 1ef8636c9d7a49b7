"""Weights of fair-esm (ESM-1b, ESM-1v, ESM-2), also in the layout of Hugging Face, as our models, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from core.errors import UserError
from core.saving import load_strictly, state_dict_of
from mmbio.config import ESM1bConfig
from mmbio.models.esm1b import ESM1b
from mmbio.models.esm2 import ESM2
from mmbio.models.esm_names import PLACES_BEFORE, TABLE, is_hugging_face, plain_names
from mmbio.models.esm_sizes import config_of, settings
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


def from_official(weights: Mapping[str, Tensor], model: ModelOfESM) -> dict[str, Tensor]:
    """Official names to ours, for a model of the same sizes; a regression of contacts is left out.

    fair-esm's loader sets the mask token's embedding of ESM-1b and ESM-1v to zero, and so do we; Hugging Face's does not, and
    its files stay as they are.

    Raises:
        UserError: an entry that the official model does not have, or a head that is not tied to the embeddings.
    """
    official = plain_names(weights)
    given = dict(official.weights)
    found = {}
    try:
        for layer in range(model.config.depth):
            ours = f"encoder.transformer.blocks.{layer}"
            for entry in ("weight", "bias"):
                parts = [given.pop(f"layers.{layer}.self_attn.{part}_proj.{entry}") for part in "qkv"]
                found[f"{ours}.attn.qkv.{entry}"] = torch.cat(parts)
        table = given.pop("embed_tokens.weight")
        if isinstance(model, ESM1b):
            found["encoder.position.weight"] = given.pop(TABLE)[PLACES_BEFORE:]
            if not is_hugging_face(weights):
                table = table.clone()
                table[ESM.mask_id] = 0
        elif official.unsure:
            del given[TABLE]  # the caller knows that it is ESM-2
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
        found[TABLE] = torch.cat([table.new_zeros(PLACES_BEFORE, table.shape[1]), table])
    for layer in range(model.config.depth):
        for entry in ("weight", "bias"):
            parts = weights[f"encoder.transformer.blocks.{layer}.attn.qkv.{entry}"].chunk(3)
            found |= {f"layers.{layer}.self_attn.{p}_proj.{entry}": t for p, t in zip("qkv", parts, strict=True)}
    for theirs, ours in module_names(model).items():
        found |= {f"{theirs}.{entry}": weights[f"{ours}.{entry}"] for entry in ("weight", "bias")}
    return found


def load_official(
    content: Mapping[str, Any], source: str, heads: int | None = None, beside: Mapping[str, Any] | None = None
) -> ModelOfESM:
    """A model in evaluation mode with the weights of an official file, its sizes taken from what the file holds.

    Width, depth and positions are those of the weights. The number of heads is what the settings in the file say, or what
    the width of the rotations or of a regression of contacts tells.

    Args:
        content: of the file: ``{"cfg": ..., "model": ...}``, ``{"args": ..., "model": ...}``, or a state dict.
        source: its name for messages.
        heads: where the file does not tell.
        beside: settings that :func:`~mmbio.models.esm_sizes.settings_beside` found, for weights of Hugging Face.

    Raises:
        UserError: another architecture, entries that are missing or of another shape, or a number of heads or a kind of
            positions that is unknown.
    """
    weights = state_dict_of(dict(content), source)
    said = settings(content) | (dict(beside or {}) if is_hugging_face(weights) else {})
    config = config_of(weights, said, source, heads)
    model: ModelOfESM = ESM1b(config) if isinstance(config, ESM1bConfig) else ESM2(config)
    try:
        load_strictly(model, from_official(weights, model), source)
    except UserError as error:
        raise error if str(error).startswith(source) else UserError(f"{source}: {error}") from error
    model.eval()
    return model
