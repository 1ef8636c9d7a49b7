"""Settings of ESM-1b and ESM-2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, divided_by_heads
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmbio.config.data import TextConfig
from mmbio.config.mask import TokenMaskConfig


@dataclass
class ESM2Config:
    """ESM-2 for pretraining; the defaults are its smallest published size."""

    dim: int = 320
    """Width."""
    depth: int = 6
    """Layers."""
    heads: int = 20
    """Attention heads."""
    token_dropout: bool = True
    """Mask tokens have no embedding, and the others are scaled so that their sum does not depend on how many there are."""
    mask: TokenMaskConfig = field(default_factory=TokenMaskConfig)
    checkpointing: bool = False
    """Compute activations of every layer again in the backward pass, to save memory."""

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth", "heads")
        divided_by_heads(self, even=True)


@dataclass
class ESM1bConfig(ESM2Config):
    """ESM-1b for pretraining; the defaults are the published model."""

    dim: int = 1280
    depth: int = 33
    heads: int = 20
    positions: int = 1024
    """Learned positions: the most tokens of a sequence, begin and end counted."""
    norm_before: bool = True
    """Layer norm before the first layer: ESM-1b has it, ESM-1v has not."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 3, "positions")


def esm_optim() -> OptimConfig:
    """ESM-2's optimiser, quoted from memory of the paper's appendix and not checked against it: a line from 4e-4 down to a
    tenth."""
    return OptimConfig(lr=4e-4, schedule="linear", min_lr=4e-5, weight_decay=0.01, betas=(0.9, 0.98), warmup_epochs=1)


@dataclass
class ESM2Recipe:
    """Everything that a pretraining of ESM-2 is made of."""

    system: Literal["esm2"] = "esm2"
    """The system this recipe trains."""
    data: str = "genome"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: TextConfig = field(default_factory=TextConfig)
    model: ESM2Config = field(default_factory=ESM2Config)
    optim: OptimConfig = field(default_factory=esm_optim)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=32))
    run: RunConfig = field(default_factory=RunConfig)


@dataclass
class ESM1bRecipe:
    """Everything that a pretraining of ESM-1b is made of."""

    system: Literal["esm1b"] = "esm1b"
    """The system this recipe trains."""
    data: str = "genome"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: TextConfig = field(default_factory=TextConfig)
    model: ESM1bConfig = field(default_factory=ESM1bConfig)
    optim: OptimConfig = field(default_factory=esm_optim)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=32))
    run: RunConfig = field(default_factory=RunConfig)
