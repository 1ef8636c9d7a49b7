"""Settings of SMILES-BERT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmbio.config.data import TextConfig
from mmbio.config.mask import TokenMaskConfig


@dataclass
class SmilesBertConfig:
    """SMILES-BERT for pretraining; the defaults are the sizes of its code (bertsmall)."""

    dim: int = 512
    """Width."""
    depth: int = 6
    """Layers."""
    heads: int = 4
    """Attention heads."""
    hidden: int = 1024
    """Width inside the MLPs."""
    dropout: float = 0.1
    """Of embeddings and of the output of every attention and MLP."""
    splitting: Literal["atoms", "characters"] = "atoms"
    """Tokens of atoms, or the 46 characters of the official code."""
    tokens: tuple[str, ...] = ()
    """Tokens of atoms in the order of their ids; none to make them from the training data."""
    mask: TokenMaskConfig = field(default_factory=TokenMaskConfig)

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth", "heads", "hidden")
        within(self, 0, 1, "dropout")
        if self.dim % (2 * self.heads) or self.dim < 4:
            raise ValueError(f"dim {self.dim}: expected an even multiple of the {self.heads} heads, at least 4")


def smiles_text() -> TextConfig:
    """Molecules of MOSES have at most 54 tokens, of MoleculeNet nearly all fewer than 200."""
    return TextConfig(longest=200)


def _optim() -> OptimConfig:
    return OptimConfig(lr=1e-4, weight_decay=0.01, warmup_epochs=1)


@dataclass
class SmilesBertRecipe:
    """Everything that a pretraining of SMILES-BERT is made of."""

    system: Literal["smiles_bert"] = "smiles_bert"
    """The system this recipe trains."""
    data: str = "nci"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: TextConfig = field(default_factory=smiles_text)
    randomise: bool = False
    """Read every molecule in another spelling every time, its atoms in random order (needs rdkit)."""
    model: SmilesBertConfig = field(default_factory=SmilesBertConfig)
    optim: OptimConfig = field(default_factory=_optim)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=256, bucket=20))
    run: RunConfig = field(default_factory=RunConfig)
