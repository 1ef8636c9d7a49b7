"""Names of weights in files of fair-esm (ESM-1b, ESM-1v, ESM-2) and of Hugging Face."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

HUGGING_FACE = (
    ("encoder.layer.", "layers."),
    ("attention.self.query.", "self_attn.q_proj."),
    ("attention.self.key.", "self_attn.k_proj."),
    ("attention.self.value.", "self_attn.v_proj."),
    ("attention.output.dense.", "self_attn.out_proj."),
    ("LayerNorm.gamma", "LayerNorm.weight"),
    ("LayerNorm.beta", "LayerNorm.bias"),
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
"""Parts of names of Hugging Face and of fair-esm, in the order in which they are replaced.

Norms have gamma and beta in files that transformers 5 writes of networks it has made itself.
"""

PREFIX = re.compile(r"^(model\.)?(encoder\.sentence_encoder\.|encoder\.)?")
COMPUTED = re.compile(r"inv_freq$|position_ids$|_float_tensor$|version$|^pooler\.")
ANGLES = "inv_freq"
TABLE = "embed_positions.weight"
PLACES_BEFORE = 2
"""Rows of the official table of positions that no residue has: padding is token 1, and counting begins behind it."""


class Official(NamedTuple):
    """What an official file holds: weights by fair-esm's names, (1, layers x heads) regression of contacts with bias or None.

    ``unsure``: it has a table of positions, and only its settings can tell whether the network reads it.
    """

    weights: dict[str, Tensor]
    contacts: tuple[Tensor, Tensor] | None
    unsure: bool = False


def is_hugging_face(weights: Mapping[str, Tensor]) -> bool:
    """Whether weights have the names of Hugging Face."""
    return any("encoder.layer." in name for name in weights)


def plain_names(weights: Mapping[str, Tensor]) -> Official:
    """Weights of fair-esm's files, or of Hugging Face, by the names that fair-esm's modules have.

    Prefixes of the training code go, and so do tables that are computed (angles of rotations, numbers of positions).

    Files of ESM-2 from Hugging Face have a table of positions as well, which no network ever read (pull request 39063 of
    transformers); beside angles of rotations it goes. Newer ones may lack the angles: then a norm before the layers tells
    ESM-1b, and nothing but its settings tells ESM-2 from ESM-1v.
    """
    found, contacts = {}, {}
    foreign = is_hugging_face(weights)
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
    if any(name.endswith(ANGLES) for name in weights):
        found.pop(TABLE, None)
    return Official(found, given, foreign and TABLE in found and "emb_layer_norm_before.weight" not in found)
