"""State dicts of CPCProt's repository (amyxlu/CPCProt) in our names: the published default, not its larger variants."""

from __future__ import annotations

import re

from torch import Tensor

from core.errors import UserError


def from_official(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official names to ours; a prefix that training on several GPUs left is taken off.

    Raises:
        UserError: an entry that this model does not have.
    """
    found = {}
    for name, tensor in weights.items():
        own = _ours(name.removeprefix("module."))
        if own is None:
            raise UserError(f"{name} is not an entry of the official state dict of CPCProt's default model")
        found[own] = tensor[0] if own.startswith("encoder.norms.") else tensor
    return found


def _ours(name: str) -> str | None:
    if name == "enc.embedding.weight":
        return "encoder.embedding.weight"
    part = re.fullmatch(r"enc\.(conv|norm)([123])\.(weight|bias)", name)
    if part:
        return f"encoder.{part.group(1)}s.{int(part.group(2)) - 1}.{part.group(3)}"
    return name.removeprefix("autoregressor.") if re.fullmatch(r"autoregressor\.gru\.\w+_l0", name) else None
