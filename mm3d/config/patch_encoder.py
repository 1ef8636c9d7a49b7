"""The encoder of the Point-BERT family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config import at_least, within


@dataclass
class PatchEncoderConfig:
    """The encoder of the Point-BERT family; the defaults are the published size."""

    groups: int = 64
    """Patches a cloud (centres by farthest point sampling)."""
    group_size: int = 32
    """Points a patch (nearest neighbours of the centre)."""
    dim: int = 384
    """Width of the tokens."""
    depth: int = 12
    """Transformer blocks."""
    heads: int = 6
    """Attention heads."""
    drop_path: float = 0.1
    """Stochastic depth of the last block."""
    skip_near_origin: bool = True
    """Never take a point within 0.0316 of the origin as a centre (the rule of the official sampling kernel)."""
    widths: tuple[int, int, int] = (128, 256, 512)
    """Widths of the mini-PointNet before its last layer."""
    embed_dim: int | None = None
    """Width of the mini-PointNet's output where a linear layer makes tokens of it (Point-BERT: 256); null where there is
    none."""
    embed: Literal["all", "visible"] = "all"
    """Patches that the mini-PointNet embeds under a mask: all, as published, or only the visible ones, which is
    faster; batch statistics then do not see the hidden patches."""

    def __post_init__(self) -> None:
        at_least(self, 1, "groups", "group_size", "dim", "depth", "heads")
        within(self, 0, 1, "drop_path")
        if self.embed_dim is not None:
            at_least(self, 1, "embed_dim")
        if min(self.widths) < 1:
            raise ValueError(f"widths {list(self.widths)}: expected at least 1 each")
        if self.dim % self.heads:
            raise ValueError(f"heads {self.heads}: do not divide dim {self.dim}")
