"""Settings of Mole-BERT and of its tokenizer of atoms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, more_than_zero, shares, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmbio.config.attr_masking import molecule_optim
from mmbio.config.data import GraphDataConfig


@dataclass
class MoleBertTokenizerConfig:
    """The tokenizer; the defaults are those of the official code."""

    dim: int = 300
    """Width of atoms and codes."""
    depth: int = 5
    """Layers of the encoder."""
    dropout: float = 0.0
    """Dropout after every layer of the encoder."""
    codes: tuple[int, ...] = (378, 56, 55, 23)
    """Codes of carbon, nitrogen, oxygen, and of all other elements together."""
    commitment: float = 0.25
    """Weight of the distance of atoms to their codes."""
    decay: float = 0.95
    """Of the moving averages that the codes follow their atoms by."""
    revive: float = 0.3
    """Codes that fewer atoms a batch choose (in the moving average) are put onto atoms of the batch; 0 for never."""
    kmeans: int = 10
    """Iterations of k-means on the first batch, from which the codes start; 0 for a random start."""

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth")
        at_least(self, 0, "commitment", "revive", "kmeans")
        within(self, 0, 1, "dropout", "decay")
        if len(self.codes) != 4 or min(self.codes) < 1:
            raise ValueError(f"codes {list(self.codes)}: expected four numbers of at least 1, for C, N, O and the rest")


@dataclass
class MoleBertConfig:
    """Mole-BERT for pretraining; the defaults are those of the official code."""

    tokenizer: MoleBertTokenizerConfig = field(default_factory=MoleBertTokenizerConfig)
    """The tokenizer whose codes are predicted; a training takes this from the tokenizer's run folder."""
    dim: int = 300
    """Width of atoms."""
    depth: int = 5
    """Layers."""
    dropout: float = 0.0
    """Dropout after every layer."""
    mask_ratio: float = 0.15
    """Share of the atoms of every molecule that the first mask hides."""
    second_ratio: float = 0.3
    """Share that the second mask hides, drawn by itself."""
    mask_edges: bool = True
    """Also hide and predict the bonds of hidden atoms."""
    contrast_weight: float = 1.0
    """Weight of telling molecules apart (triplet masked contrastive learning); 0 to model masked atoms alone."""
    temperature: float = 0.1
    """Of the cosines that tell molecules apart."""
    triplet_weight: float = 0.1
    """Weight, within it, of a molecule being nearer to its first masked view than to its second."""

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth")
        at_least(self, 0, "contrast_weight", "triplet_weight")
        within(self, 0, 1, "dropout")
        shares(self, "mask_ratio", "second_ratio")
        more_than_zero(self, "temperature")


def _tokenizer_optim() -> OptimConfig:
    return OptimConfig(
        algorithm="adam",
        lr=1e-3,
        schedule="cosine",
        weight_decay=0.0,
        warmup_epochs=0,
        warmup_lr=0,
        min_lr=0.0,
        lr_update="epoch",
    )


@dataclass
class MoleBertTokenizerRecipe:
    """Everything that a training of Mole-BERT's tokenizer is made of."""

    system: Literal["mole_bert_tokenizer"] = "mole_bert_tokenizer"
    """The system this recipe trains."""
    data: str = "nci"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    text: GraphDataConfig = field(default_factory=GraphDataConfig)
    model: MoleBertTokenizerConfig = field(default_factory=MoleBertTokenizerConfig)
    optim: OptimConfig = field(default_factory=_tokenizer_optim)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=60, batch_size=256))
    run: RunConfig = field(default_factory=RunConfig)


@dataclass
class MoleBertRecipe:
    """Everything that a pretraining of Mole-BERT is made of."""

    system: Literal["mole_bert"] = "mole_bert"
    """The system this recipe trains."""
    data: str = "nci"
    """What to train on: a built-in set, or layout:path; several joined by +. `mmbio list --data` names the layouts."""
    tokenizer: str = ""
    """Run folder, saved model or hub id of the tokenizer: what `mmbio tokenize mole_bert_tokenizer` leaves behind."""
    text: GraphDataConfig = field(default_factory=GraphDataConfig)
    model: MoleBertConfig = field(default_factory=MoleBertConfig)
    optim: OptimConfig = field(default_factory=molecule_optim)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=100, batch_size=256))
    run: RunConfig = field(default_factory=RunConfig)
