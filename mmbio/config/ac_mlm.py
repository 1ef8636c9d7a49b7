"""Settings of AC-MLM, adversarial contrastive pretraining."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, more_than_zero
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmbio.config.data import TextConfig
from mmbio.config.esm import ESM2Config, esm_optim


@dataclass
class ACMLMConfig(ESM2Config):
    """AC-MLM for pretraining, on the encoder of ESM-2."""

    candidates: int = 2
    """Masks that are drawn of every sequence in training, of which the one that the model finds hardest is taken."""
    radius: float = 0.1
    """Norm of the change of a sequence's embeddings, as a share of their own norm."""
    adversarial_weight: float = 1.0
    """Factor of the loss on changed embeddings."""
    contrast_weight: float = 0.1
    """Factor of the contrast between a sequence and what its change makes of it."""
    temperature: float = 0.1
    """Divides similarities in the contrast."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "candidates")
        at_least(self, 0, "radius", "adversarial_weight", "contrast_weight")
        more_than_zero(self, "temperature")


@dataclass
class ACMLMRecipe:
    """Everything that a pretraining of AC-MLM is made of."""

    system: Literal["ac_mlm"] = "ac_mlm"
    """The system this recipe trains."""
    data: str = "genome"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: TextConfig = field(default_factory=TextConfig)
    model: ACMLMConfig = field(default_factory=ACMLMConfig)
    optim: OptimConfig = field(default_factory=esm_optim)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=32))
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        if self.run.strategy == "fsdp":
            raise ValueError(
                "run.strategy fsdp: the adversary takes gradients within the forward pass; expected auto or ddp"
            )
