"""Settings of TAPE's transformer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, divided_by_heads, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmbio.config.data import TextConfig
from mmbio.config.mask import TokenMaskConfig


@dataclass
class TapeConfig:
    """TAPE's transformer for pretraining; the defaults are the published model."""

    dim: int = 768
    """Width."""
    depth: int = 12
    """Layers."""
    heads: int = 12
    """Attention heads."""
    hidden: int = 3072
    """Width of the MLPs."""
    positions: int = 8192
    """Learned positions: the most tokens of a sequence, begin and end counted."""
    dropout: float = 0.1
    """Of embeddings, attention weights and the outputs of attention and MLP."""
    mask: TokenMaskConfig = field(default_factory=TokenMaskConfig)

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth", "heads", "hidden")
        divided_by_heads(self)
        at_least(self, 3, "positions")
        within(self, 0, 1, "dropout")


def _optim() -> OptimConfig:
    return OptimConfig(
        lr=1e-4, schedule="linear", weight_decay=0.01, eps=1e-6, warmup_epochs=1, min_lr=0.0, clip_norm=1.0
    )


@dataclass
class TapeRecipe:
    """Everything that a pretraining of TAPE's transformer is made of."""

    system: Literal["tape"] = "tape"
    """The system this recipe trains."""
    data: str = "demo_proteins"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: TextConfig = field(default_factory=TextConfig)
    model: TapeConfig = field(default_factory=TapeConfig)
    optim: OptimConfig = field(default_factory=_optim)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=32))
    run: RunConfig = field(default_factory=RunConfig)
