"""Settings of fine-tuning, and of the predictor that it trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from core.config import at_least, within
from core.training.config import OptimConfig, RunConfig, TrainConfig


@dataclass
class SequencePredictorConfig:
    """A pretrained model's encoder with a head."""

    system: str = "ESM2"
    """Class of the pretrained model."""
    model: dict[str, Any] = field(default_factory=dict)
    """Its configuration, as model.json holds it."""
    width: int = 320
    """Of its features."""
    task: Literal["classes", "values", "binary", "residues"] = "classes"
    """What is predicted: a class, numbers or yes-or-no answers for a sequence, or a class for every residue."""
    classes: tuple[str, ...] = ("no", "yes")
    """Names of the classes, or of the columns of labels: one output each."""
    hidden: int = 0
    """Width of a hidden layer of the head; 0 for a linear head."""
    dropout: float = 0.1
    """Dropout before the head, and before its last layer."""
    freeze: bool = False
    """Train the head alone."""

    def __post_init__(self) -> None:
        at_least(self, 1, "width")
        at_least(self, 0, "hidden")
        within(self, 0, 1, "dropout")
        if not self.classes:
            raise ValueError("classes: none; expected a name for every output")


def _optim() -> OptimConfig:
    return OptimConfig(lr=1e-4, schedule="linear", weight_decay=0.01, warmup_epochs=1, min_lr=0.0, clip_norm=1.0)


@dataclass
class SequenceFinetuneRecipe:
    """Everything that a fine-tuning on a pretrained model of sequences is made of."""

    data: str = ""
    """Labelled data, which says what the task is; that of the pretraining where none is named."""
    hidden: int = 0
    """Width of a hidden layer of the head; 0 for a linear head."""
    dropout: float = 0.1
    """Dropout before the head."""
    encoder_dropout: float | None = None
    """Dropout inside the encoder; null for that of the pretraining."""
    freeze: bool = False
    """Train the head alone, on frozen features."""
    longest: int = 1022
    """Tokens of a training sequence, begin and end not counted; of longer ones a random window is taken every time.
    Graphs of molecules are never cut."""
    randomise: bool = False
    """Read every training molecule in another spelling every time, drawn from the seed, the epoch and the molecule; what is
    validated and tested on stays as it is. For models of SMILES only."""
    patience: int = 0
    """Epochs without a better score of the validation part after which training ends; 0 to train all epochs. The weights of
    the best epoch are kept in either case."""
    optim: OptimConfig = field(default_factory=_optim)
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(epochs=20, batch_size=16, bucket=16, last_batch="keep")
    )
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        at_least(self, 0, "hidden", "patience")
        at_least(self, 1, "longest")
        within(self, 0, 1, "dropout")
        if self.encoder_dropout is not None:
            within(self, 0, 1, "encoder_dropout")
