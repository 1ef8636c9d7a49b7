"""State dicts of GMAE's official repository, for nodes and for graphs, in our names."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.config import GMAEConfig

# Parameters that the official model for graphs has and never uses where edges have no features.
UNUSED = ("graph_token.weight", "graph_token_virtual_distance.weight", "edge_dis_encoder.weight")
CATEGORIES = 512  # rows of the official table for each column of features

TABLES = {
    "in_degree_encoder.weight": "encoder.degrees.incoming.weight",
    "out_degree_encoder.weight": "encoder.degrees.outgoing.weight",
    "spatial_pos_encoder.weight": "encoder.distances.weight",
}
BLOCK = {
    "self_attention_norm": "norm1",
    "self_attention.output_layer": "attn.proj",
    "ffn_norm": "norm2",
    "ffn.layer1": "mlp.fc1",
    "ffn.layer2": "mlp.fc2",
}


def from_official(weights: dict[str, Tensor], config: GMAEConfig) -> dict[str, Tensor]:
    """Official names to ours.

    The first row of each official table stands for padding and is left out. The model for graphs looks features up as
    categories; for features that are 0 or 1 this is a linear layer, and as such they are converted.

    Args:
        weights: ``state_dict`` of the official checkpoint.
        config: of the model that takes the weights, with the official table sizes (``max_degree`` 510, ``max_distance``
            509); its loss and offset are needed. Where its offset is not the official 1, biases make up for it.

    Raises:
        UserError: an entry that GMAE does not have, among them embeddings of edge features, which are not supported.
    """
    head = f"objectives.{config.loss}.head"
    whole = {
        "input_proj": "encoder.input",
        "encoder_final_ln": "encoder.layers.transformer.norm",
        "encoder_to_decoder": f"{head}.bridge",
        "decoder_final_ln": f"{head}.layers.transformer.norm",
        "out_proj": f"{head}.output",
    }
    stacks = {"encoder": "encoder.layers", "decoder": f"{head}.layers"}
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        part, _, kind = name.rpartition(".")
        block = re.fullmatch(r"(encoder|decoder)_layers\.(\d+)\.(.+)", part)
        if name in UNUSED:
            continue
        if name in TABLES:
            found[TABLES[name]] = tensor[1:]
        elif name == "mask_token":
            found[f"{head}.token"] = tensor.flatten()
        elif name == "atom_encoder.weight":
            found.update(_linear(tensor, config.width))
        elif part in whole:
            found[f"{whole[part]}.{kind}"] = tensor
        elif block and block[3] in BLOCK:
            found[f"{stacks[block[1]]}.transformer.blocks.{block[2]}.{BLOCK[block[3]]}.{kind}"] = tensor
        elif block and block[3] == "self_attention.linear_q":
            of_all = [weights.get(f"{part[:-1]}{letter}.{kind}") for letter in "qkv"]
            if any(t is None for t in of_all):
                raise UserError(f"{name}: without its key or value; expected all three in GMAE's official state dict")
            joined = torch.cat([t for t in of_all if t is not None])
            found[f"{stacks[block[1]]}.transformer.blocks.{block[2]}.attn.qkv.{kind}"] = joined
        elif not (block and block[3] in ("self_attention.linear_k", "self_attention.linear_v")):
            raise UserError(f"{name} is not an entry of GMAE's official state dict that can be read")
    if {"encoder.input.weight", "encoder.input.bias"} <= set(found):
        found["encoder.input.bias"] = found["encoder.input.bias"] + (1 - config.offset) * found[
            "encoder.input.weight"
        ].sum(1)
    if f"{head}.output.bias" in found and config.loss == "mse":
        found[f"{head}.output.bias"] = found[f"{head}.output.bias"] - (1 - config.offset)
    return found


def _linear(table: Tensor, width: int) -> dict[str, Tensor]:
    """Rows of categories 0 and 1 of every column as a linear layer of features that are 1 and 2."""
    zero = torch.arange(width, device=table.device) * CATEGORIES + 2  # 1 for its encoding, 1 for padding
    weight = table[zero + 1] - table[zero]
    return {
        "encoder.input.weight": weight.T.contiguous(),
        "encoder.input.bias": table[zero].sum(0) - weight.sum(0),
    }
