"""Sizes of ESM's networks, as official weights and the settings in or beside their files tell them."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from core.errors import UserError
from core.files import open_text
from mmbio.config import ESM1bConfig, ESM2Config
from mmbio.models.esm_names import ANGLES, PLACES_BEFORE, TABLE, Official, plain_names

EPS = 1e-5
"""What all norms of the official networks add to the variance."""


def settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the official training code kept beside the weights, without the prefix ``encoder_``."""
    held = content.get("args")
    if isinstance(content.get("cfg"), Mapping | Namespace):
        cfg = content["cfg"]
        held = cfg.get("model") if isinstance(cfg, Mapping) else getattr(cfg, "model", None)
    values = vars(held) if isinstance(held, Namespace) else dict(held) if isinstance(held, Mapping) else {}
    return {str(name).removeprefix("encoder_"): value for name, value in values.items()}


def settings_beside(checkpoint: str | Path) -> dict[str, Any]:
    """What ``config.json`` of Hugging Face says of the weights in the same folder, by the names of :func:`settings`.

    Args:
        checkpoint: a file with weights or their index, or the folder of both.

    Returns:
        Nothing where there is no such file, or one of another kind of model.

    Raises:
        UserError: it cannot be read, or describes an ESM that there is no network for.
    """
    place = Path(checkpoint)
    path = (place if place.is_dir() else place.parent) / "config.json"
    if not path.is_file():
        return {}
    try:
        said = json.loads(open_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); expected the settings of the weights beside it") from error
    if not isinstance(said, dict) or said.get("model_type") != "esm":
        return {}
    if said.get("layer_norm_eps", EPS) != EPS:
        raise UserError(f"{path}: layer_norm_eps {said['layer_norm_eps']}; expected {EPS}, which norms have here")
    names = {"num_attention_heads": "attention_heads"}
    wanted = ("num_attention_heads", "token_dropout", "position_embedding_type")
    return {names.get(name, name): said[name] for name in wanted if name in said}


def config_of(
    weights: Mapping[str, Tensor], said: Mapping[str, Any], source: str, heads: int | None = None
) -> ESM1bConfig | ESM2Config:
    """Sizes as weights and settings tell them; errors as :func:`~mmbio.models.esm_official.load_official`."""
    official = plain_names(weights)
    plain, contacts = official.weights, official.contacts
    numbers = {int(match[1]) for name in plain if (match := re.match(r"layers\.(\d+)\.", name))}
    table = plain.get("embed_tokens.weight")
    if table is None or table.ndim != 2 or not numbers or "emb_layer_norm_after.weight" not in plain:
        raise UserError(f"{source}: not the weights of ESM-1b, ESM-1v or ESM-2")
    depth, dim = max(numbers) + 1, table.shape[1]
    angles = next((tensor for name, tensor in weights.items() if name.endswith(ANGLES)), None)
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
    if not reads_positions(official, said.get("position_embedding_type"), angles is not None, source):
        return ESM2Config(dim, depth, heads, dropout)
    places = len(plain[TABLE]) - PLACES_BEFORE
    before = "emb_layer_norm_before.weight" in plain
    return ESM1bConfig(dim, depth, heads, dropout, positions=places, norm_before=before)


def reads_positions(official: Official, said: Any, angles: bool, source: str) -> bool:
    """Whether the network of a file reads a table of positions (ESM-1b, ESM-1v), and does not rotate (ESM-2).

    Args:
        said: ``position_embedding_type`` of its settings, None where they do not tell.
        angles: whether the file has those of rotations.

    Raises:
        UserError: it cannot be told, or settings and weights contradict each other.
    """
    there = TABLE in official.weights
    if said is None:
        if official.unsure:
            raise UserError(
                f"{source}: has a table of positions, which ESM-1v reads and files of ESM-2 may hold unread, and no rotations; "
                "expected config.json with position_embedding_type beside it"
            )
        return there
    if said not in ("rotary", "absolute"):
        raise UserError(f"{source}: position_embedding_type {said!r} beside it; expected rotary or absolute")
    if said == "absolute" and (angles or not there):
        has = "rotations" if angles else "no table of positions"
        raise UserError(f"{source}: position_embedding_type absolute beside it, but it has {has}")
    return bool(said == "absolute")
