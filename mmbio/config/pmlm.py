"""Settings of PMLM, the pairwise masked language model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmbio.config.data import TextConfig
from mmbio.config.esm import ESM2Config, esm_optim


@dataclass
class PMLMConfig(ESM2Config):
    """PMLM for pretraining, on the encoder of ESM-2."""

    pairs: int = 512
    """At most so many pairs of hidden residues are scored of a sequence; drawn where there are more."""
    pair_weight: float = 1.0
    """Factor of the loss of pairs in the sum."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "pairs")
        at_least(self, 0, "pair_weight")


@dataclass
class PMLMRecipe:
    """Everything that a pretraining of PMLM is made of."""

    system: Literal["pmlm"] = "pmlm"
    """The system this recipe trains."""
    data: str = "genome"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: TextConfig = field(default_factory=TextConfig)
    model: PMLMConfig = field(default_factory=PMLMConfig)
    optim: OptimConfig = field(default_factory=esm_optim)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=32))
    run: RunConfig = field(default_factory=RunConfig)
