"""Settings of AbBERT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, divided_by_heads, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmbio.config.data import TextConfig
from mmbio.config.mask import TokenMaskConfig


@dataclass
class AbBERTConfig:
    """AbBERT for pretraining; the defaults are the published model."""

    dim: int = 768
    """Width."""
    depth: int = 12
    """Layers."""
    heads: int = 12
    """Attention heads."""
    hidden: int = 3072
    """Width of the MLPs."""
    positions: int = 256
    """Learned positions: the most tokens of a sequence, begin and end counted."""
    dropout: float = 0.1
    """Of embeddings, attention weights and the outputs of attention and MLP."""
    mask: TokenMaskConfig = field(default_factory=lambda: TokenMaskConfig(kind="regions", ratio=0.5))

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth", "heads", "hidden")
        divided_by_heads(self)
        at_least(self, 3, "positions")
        within(self, 0, 1, "dropout")


@dataclass
class AbBERTRecipe:
    """Everything that a pretraining of AbBERT is made of."""

    system: Literal["abbert"] = "abbert"
    """The system this recipe trains."""
    data: str = "antibodies:data/antibodies.jsonl"
    """Antibodies to train on: layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: TextConfig = field(default_factory=lambda: TextConfig(longest=254))
    model: AbBERTConfig = field(default_factory=AbBERTConfig)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            lr=6e-4,
            schedule="linear",
            weight_decay=0.01,
            decay="all",
            betas=(0.9, 0.98),
            eps=1e-6,
            warmup_epochs=1,
            min_lr=0.0,
        )
    )
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=64))
    run: RunConfig = field(default_factory=RunConfig)
