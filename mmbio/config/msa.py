"""Settings of the MSA Transformer and of AlphaFold 2's pretext on alignments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, divided_by_heads, within
from core.training.config import OptimConfig, RunConfig, TrainConfig


@dataclass
class CellMaskConfig:
    """Which cells are hidden, and what they become; what is left of the shares becomes the mask token."""

    ratio: float = 0.15
    """Chance of a cell to be hidden."""
    uniform_share: float = 0.1
    """Share of the hidden cells that become any amino acid."""
    profile_share: float = 0.1
    """Share that becomes what its column has, in proportion."""
    same_share: float = 0.1
    """Share that stays as it is and is scored all the same."""

    def __post_init__(self) -> None:
        if not 0 < self.ratio < 1:
            raise ValueError(f"ratio {self.ratio}: expected a chance between 0 and 1")
        at_least(self, 0, "uniform_share", "profile_share", "same_share")
        if self.uniform_share + self.profile_share + self.same_share > 1:
            raise ValueError(f"same_share {self.same_share}: with uniform_share and profile_share more than all")


@dataclass
class MSATransformerConfig:
    """The MSA Transformer for pretraining; the sizes are those of the published model."""

    alphabet: Literal["esm", "af2"] = "esm"
    """ESM's 33 tokens with a begin token, or AlphaFold 2's 23 classes."""
    dim: int = 768
    """Width."""
    depth: int = 12
    """Layers."""
    heads: int = 12
    """Attention heads."""
    hidden: int = 3072
    """Width of the MLPs."""
    positions: int = 1024
    """Learned positions of columns, the begin token's counted."""
    row_positions: int = 1024
    """Learned positions of rows, the most rows of an alignment; 0 for none and any number of rows."""
    dropout: float = 0.1
    """Of embeddings, attention weights, in the MLP, and of the output of every branch."""
    mask: CellMaskConfig = field(default_factory=CellMaskConfig)

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth", "heads", "hidden")
        divided_by_heads(self)
        at_least(self, 2, "positions")
        at_least(self, 0, "row_positions")
        within(self, 0, 1, "dropout")


@dataclass
class MSADataConfig:
    """How rows and columns are taken from alignments."""

    depth: int = 64
    """Rows of a sample, the query always one of them; of deeper alignments others are drawn every time. Never more than the
    model has positions of rows."""
    width: int = 256
    """Columns of a sample; of wider alignments another window is cut out every time. Never more than the model has positions,
    the begin token's left out."""
    held_out: float = 0.1
    """Share of the alignments that is not trained on and tells the perplexity."""
    every: int = 1
    """Epochs between two looks at what is held out."""

    def __post_init__(self) -> None:
        at_least(self, 1, "depth", "width", "every")
        within(self, 0, 1, "held_out")


@dataclass
class MSATransformerRecipe:
    """Everything that a pretraining on alignments is made of."""

    system: Literal["msa_transformer"] = "msa_transformer"
    """The system this recipe trains."""
    data: str = "msa:data/alignments"
    """Alignments to train on: msa: and a file or folder."""
    msa: MSADataConfig = field(default_factory=MSADataConfig)
    model: MSATransformerConfig = field(default_factory=MSATransformerConfig)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(lr=1e-4, schedule="linear", weight_decay=1e-4, warmup_epochs=1)
    )
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=100, batch_size=8))
    run: RunConfig = field(default_factory=RunConfig)
