"""Queries, keys and values, which official weights have apart and ours together."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from core.errors import UserError


def joined_qkv(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """One tensor of the parts q, k and v for each of our names.

    Raises:
        UserError: one of the three is missing.
    """
    for own, letters in parts.items():
        if set(letters) != set("qkv"):
            raise UserError(
                f"{own}: only {', '.join(sorted(letters))} of query, key and value in the official state dict"
            )
    return {own: torch.cat([letters[letter] for letter in "qkv"]) for own, letters in parts.items()}
