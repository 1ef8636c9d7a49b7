"""Settings of MolFormer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, divided_by_heads, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmbio.config.data import TextConfig
from mmbio.config.mask import TokenMaskConfig
from mmbio.config.smiles_bert import smiles_text


@dataclass
class MolFormerConfig:
    """MolFormer for pretraining; the defaults are the published model (MolFormer-XL)."""

    dim: int = 768
    """Width."""
    depth: int = 12
    """Layers."""
    heads: int = 12
    """Attention heads."""
    hidden: int = 768
    """Width inside the MLPs."""
    attention: Literal["linear", "exact"] = "linear"
    """Linear attention over random features, or softmax attention."""
    features: int = 32
    """Random features a head (linear)."""
    embedding_dropout: float = 0.2
    """Of token embeddings."""
    dropout: float = 0.1
    """Of the output of every attention, of both layers of every MLP, and of the weights of exact attention."""
    tokens: tuple[str, ...] = ()
    """Tokens in the order of their ids; none to make them from the training data."""
    mask: TokenMaskConfig = field(default_factory=TokenMaskConfig)

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth", "heads", "hidden", "features")
        within(self, 0, 1, "embedding_dropout", "dropout")
        divided_by_heads(self, even=True)


def _optim() -> OptimConfig:
    return OptimConfig(
        lr=2.4e-4, schedule="constant", weight_decay=0.0, betas=(0.9, 0.99), warmup_epochs=0.1, clip_norm=1.0
    )


@dataclass
class MolFormerRecipe:
    """Everything that a pretraining of MolFormer is made of."""

    system: Literal["molformer"] = "molformer"
    """The system this recipe trains."""
    data: str = "nci"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: TextConfig = field(default_factory=smiles_text)
    randomise: bool = False
    """Read every molecule in another spelling every time, its atoms in random order (needs rdkit)."""
    model: MolFormerConfig = field(default_factory=MolFormerConfig)
    optim: OptimConfig = field(default_factory=_optim)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=4, batch_size=1024, bucket=20))
    run: RunConfig = field(default_factory=RunConfig)
