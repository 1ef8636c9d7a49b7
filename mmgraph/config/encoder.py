"""Settings of message passing encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config import at_least, within


@dataclass
class GraphEncoderConfig:
    """Layers of message passing."""

    kind: Literal["gat", "gin"] = "gat"
    """Graph attention, or graph isomorphism network."""
    dim: int = 512
    """Width of the node embeddings, of all heads together."""
    depth: int = 2
    """Layers."""
    heads: int = 4
    """Attention heads (gat)."""
    feature_dropout: float = 0.2
    """Dropout of the input of every layer, the decoder's too."""
    attention_dropout: float = 0.1
    """Dropout of the attention coefficients (gat)."""
    norm: Literal["none", "batchnorm", "layernorm"] = "none"
    """Norm after every layer, before the activation, and inside of those of gin."""
    activation: Literal["prelu", "relu"] = "prelu"
    """Activation in the same places."""
    residual: bool = False
    """Add the input of every layer to its output (gat)."""
    residual_at: Literal["all", "projected"] = "all"
    """With residual: at all layers, or only where the input has another width and is projected (GraphMAE2)."""

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth", "heads")
        within(self, 0, 1, "feature_dropout", "attention_dropout")
        if self.kind == "gat" and self.dim % self.heads:
            raise ValueError(f"heads {self.heads}: do not divide dim {self.dim}")
