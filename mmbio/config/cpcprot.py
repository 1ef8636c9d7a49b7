"""Settings of CPCProt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmbio.config.data import TextConfig


@dataclass
class CPCProtConfig:
    """CPCProt for pretraining; the defaults are the published model."""

    dim: int = 512
    """Width of features of patches and of their context."""
    steps: int = 4
    """Patches ahead that a context is matched with."""
    first: int = 1
    """Patches at the beginning whose context is not used, for it has seen too little."""
    clip: float | None = None
    """Scores x become clip * tanh(x / clip), which bounds them; null for none, as in the released settings."""
    rows: Literal["running", "all"] = "running"
    """What a patch is told from: sequences of the batch that have not ended yet, or all, as the released code does."""

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "steps")
        at_least(self, 0, "first")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip {self.clip}: expected more than 0, or null for none")


@dataclass
class CPCProtRecipe:
    """Everything that a pretraining of CPCProt is made of."""

    system: Literal["cpcprot"] = "cpcprot"
    """The system this recipe trains."""
    data: str = "demo_proteins"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: TextConfig = field(default_factory=lambda: TextConfig(longest=550))
    model: CPCProtConfig = field(default_factory=CPCProtConfig)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            algorithm="adam", lr=1e-3, schedule="constant", weight_decay=0.0, warmup_epochs=0
        )
    )
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=256, bucket=0))
    run: RunConfig = field(default_factory=RunConfig)
