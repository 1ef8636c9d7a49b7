"""Settings of AttrMasking on molecules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmbio.config.data import GraphDataConfig
from mmgraph.config.attr_masking import AttrMaskingConfig


def molecule_optim() -> OptimConfig:
    """Adam with a constant rate, as pretrain-gnns and Mole-BERT train all their models."""
    return OptimConfig(
        algorithm="adam", lr=1e-3, schedule="constant", weight_decay=0.0, warmup_epochs=0, warmup_lr=0, min_lr=0.0
    )


@dataclass
class MoleculeAttrMaskingRecipe:
    """Everything that a pretraining of AttrMasking on molecules is made of."""

    system: Literal["attr_masking"] = "attr_masking"
    """The system this recipe trains."""
    data: str = "nci"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: GraphDataConfig = field(default_factory=GraphDataConfig)
    model: AttrMaskingConfig = field(default_factory=AttrMaskingConfig)
    optim: OptimConfig = field(default_factory=molecule_optim)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=100, batch_size=256))
    run: RunConfig = field(default_factory=RunConfig)
