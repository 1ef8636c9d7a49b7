"""Fine-tuning on a pretrained patch encoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, shares, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mm3d.config.patch_encoder import PatchEncoderConfig
from mm3d.config.points import PointsConfig, check_count


@dataclass
class PointClassifierConfig:
    """The fine-tuning classifier of the family; the defaults are Point-MAE's (22,099,752 parameters for 40 classes)."""

    encoder: PatchEncoderConfig = field(default_factory=PatchEncoderConfig)
    """The encoder, as pretrained."""
    classes: tuple[str, ...] = ()
    """Names of the classes."""
    hidden: int = 256
    """Width of the head's hidden layers."""
    head_layers: int = 2
    """Hidden layers of the head (Point-MAE: 2, Point-BERT: 1)."""
    head_norm: bool = True
    """Batch norms in the head (Point-MAE has them, Point-BERT has none)."""
    dropout: float = 0.5
    """Dropout in the head."""

    def __post_init__(self) -> None:
        at_least(self, 1, "hidden", "head_layers")
        within(self, 0, 1, "dropout")


@dataclass
class PartSegmenterConfig:
    """Point-MAE's part segmenter: one label a point."""

    encoder: PatchEncoderConfig = field(default_factory=lambda: PatchEncoderConfig(groups=128))
    """The encoder, as pretrained."""
    parts: tuple[str, ...] = ()
    """Names of the part labels."""
    classes: tuple[str, ...] = ()
    """Names of the shape classes; none where the data has no shape class."""
    layers: tuple[int, ...] = (3, 7, 11)
    """Blocks whose outputs are read (counted from 0)."""

    def __post_init__(self) -> None:
        _check_layers(self.layers)
        if max(self.layers) >= self.encoder.depth:
            last = self.encoder.depth - 1
            raise ValueError(f"layers {list(self.layers)}: the encoder has blocks 0 to {last}")


@dataclass
class FinetuneRecipe:
    """Everything that a fine-tuning on a pretrained patch encoder is made of."""

    task: Literal["classification", "segmentation"] = "classification"
    """Class of the shape, or part of every point."""
    data: str = "furniture"
    """Where the labelled data is; its train, val (a share of train where there is none) and test splits are used."""
    points: PointsConfig = field(default_factory=lambda: PointsConfig(subset="farthest"))
    groups: int = 64
    """Patches a cloud; may differ from pretraining."""
    group_size: int = 32
    """Points a patch; may differ from pretraining."""
    drop_path: float = 0.1
    """Stochastic depth of the last block."""
    layers: tuple[int, ...] = (3, 7, 11)
    """Blocks that segmentation reads."""
    head_layers: int = 2
    """Hidden layers of the classifier's head (Point-MAE: 2, Point-BERT: 1)."""
    head_norm: bool = True
    """Batch norms in the classifier's head (Point-MAE has them, Point-BERT has none)."""
    label_smoothing: float = 0.0
    """Probability that classification spreads over the other classes; an option of Point-BERT's official code, with 0.2."""
    validation: float = 0.1
    """Share of the training split that selects the epoch, where the data has no val split."""
    votes: int = 1
    """Augmented views whose predictions are averaged at test; 1 is none, the published 'voting' is 10."""
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=5e-4, lr_update="epoch", clip_norm=10.0))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(batch_size=32))
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        at_least(self, 1, "groups", "group_size", "votes", "head_layers")
        within(self, 0, 1, "drop_path")
        within(self, 0, 0.5, "label_smoothing")
        _check_layers(self.layers)
        shares(self, "validation")
        check_count(self.points, self.groups, self.group_size)
        if self.train.batch_size // (self.train.accumulate * self.run.devices * self.run.nodes) < 2:
            raise ValueError(
                f"train.batch_size {self.train.batch_size}: expected at least 2 samples for every process "
                "and accumulated part, for the batch statistics of the head"
            )


def _check_layers(layers: tuple[int, ...]) -> None:
    if not layers or min(layers) < 0:
        raise ValueError(f"layers {list(layers)}: expected numbers of blocks, counted from 0")
