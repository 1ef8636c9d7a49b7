"""Settings of the 3D models. Free of torch, so that the command line answers at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, within
from core.training.config import OptimConfig, RunConfig, TrainConfig


@dataclass
class PatchEncoderConfig:
    """The encoder of the Point-BERT family; the defaults are the published size."""

    groups: int = 64
    """Patches a cloud (centres by farthest point sampling)."""
    group_size: int = 32
    """Points a patch (nearest neighbours of the centre)."""
    dim: int = 384
    """Width of the tokens."""
    depth: int = 12
    """Transformer blocks."""
    heads: int = 6
    """Attention heads."""
    drop_path: float = 0.1
    """Stochastic depth of the last block."""
    skip_near_origin: bool = True
    """Never take a point within 0.0316 of the origin as a centre (the rule of the official sampling kernel)."""
    widths: tuple[int, int, int] = (128, 256, 512)
    """Widths of the mini-PointNet before its last layer."""
    embed: Literal["all", "visible"] = "all"
    """Patches that the mini-PointNet embeds under a mask: all, as published, or only the visible ones, which is
    faster; batch statistics then do not see the hidden patches."""

    def __post_init__(self) -> None:
        at_least(self, 1, "groups", "group_size", "dim", "depth", "heads")
        within(self, 0, 1, "drop_path")
        if min(self.widths) < 1:
            raise ValueError(f"widths {list(self.widths)}: expected at least 1 each")
        if self.dim % self.heads:
            raise ValueError(f"heads {self.heads}: do not divide dim {self.dim}")


@dataclass
class PointMAEConfig:
    """Point-MAE for pretraining; the defaults are the published model (29,006,432 parameters)."""

    encoder: PatchEncoderConfig = field(default_factory=PatchEncoderConfig)
    """The encoder, which sees the visible patches."""
    decoder_depth: int = 4
    """Transformer blocks of the decoder."""
    decoder_heads: int = 6
    """Attention heads of the decoder."""
    mask: Literal["random", "block"] = "random"
    """Which patches are hidden: uniformly chosen ones, or those nearest to a random one."""
    mask_ratio: float = 0.6
    """Share of the patches that is hidden."""

    def __post_init__(self) -> None:
        at_least(self, 1, "decoder_depth", "decoder_heads")
        if self.encoder.dim % self.decoder_heads:
            raise ValueError(f"decoder_heads {self.decoder_heads}: do not divide encoder.dim {self.encoder.dim}")
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"mask_ratio {self.mask_ratio}: expected a share between 0 and 1")
        if self.encoder.groups < 2:
            raise ValueError(f"encoder.groups {self.encoder.groups}: expected at least 2, one of them to hide")


@dataclass
class PointClassifierConfig:
    """Point-MAE's fine-tuning classifier (22,099,752 parameters for 40 classes)."""

    encoder: PatchEncoderConfig = field(default_factory=PatchEncoderConfig)
    """The encoder, as pretrained."""
    classes: tuple[str, ...] = ()
    """Names of the classes."""
    hidden: int = 256
    """Width of the head's two hidden layers."""
    dropout: float = 0.5
    """Dropout in the head."""

    def __post_init__(self) -> None:
        at_least(self, 1, "hidden")
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
class PointsConfig:
    """How a stored cloud becomes a sample. These settings change results."""

    count: int = 1024
    """Points a sample."""
    subset: Literal["random", "farthest"] = "random"
    """Which of the stored points: uniformly chosen ones, or (fine-tuning in the papers) a random part of 1.17 times as
    many farthest points; evaluation then takes the farthest points themselves."""
    normalize: Literal["unit_sphere", "none"] = "unit_sphere"
    """Centre on the mean and divide by the largest norm, or leave coordinates as they are."""
    augment: tuple[Literal["scale_and_translate", "rotate_up", "rotate_any", "jitter"], ...] = ("scale_and_translate",)
    """Augmentations of training, in order."""
    up_axis: Literal[0, 1, 2] = 1
    """The axis that points up, for rotate_up and for pictures."""
    on_error: Literal["stop", "skip"] = "stop"
    """What a file that cannot be used does: stop the run, or be skipped and listed in the run folder."""

    def __post_init__(self) -> None:
        at_least(self, 1, "count")


@dataclass
class PointMAERecipe:
    """Everything that a pretraining of Point-MAE is made of."""

    system: Literal["point_mae"] = "point_mae"
    """The system this recipe trains."""
    data: str = "furniture"
    """What to train on: a built-in set, a path, or layout:path; several with commas. `mm3d list --data` names the layouts."""
    points: PointsConfig = field(default_factory=PointsConfig)
    model: PointMAEConfig = field(default_factory=PointMAEConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr_update="epoch"))
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        _check_count(self.points, self.model.encoder.groups, self.model.encoder.group_size)


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
    validation: float = 0.1
    """Share of the training split that selects the epoch, where the data has no val split."""
    votes: int = 1
    """Augmented views whose predictions are averaged at test; 1 is none, the published 'voting' is 10."""
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=5e-4, lr_update="epoch", clip_norm=10.0))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(batch_size=32))
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        at_least(self, 1, "groups", "group_size", "votes")
        within(self, 0, 1, "drop_path")
        _check_layers(self.layers)
        if not 0 < self.validation < 1:
            raise ValueError(f"validation {self.validation}: expected a share between 0 and 1")
        _check_count(self.points, self.groups, self.group_size)
        if self.train.batch_size // (self.train.accumulate * self.run.devices * self.run.nodes) < 2:
            raise ValueError(
                f"train.batch_size {self.train.batch_size}: expected at least 2 samples for every process "
                "and accumulated part, for the batch statistics of the head"
            )


def _check_count(points: PointsConfig, groups: int, size: int) -> None:
    if points.count < max(groups, size):
        raise ValueError(
            f"points.count {points.count}: fewer than {groups} patches of {size} points need; "
            f"expected at least {max(groups, size)}"
        )


def _check_layers(layers: tuple[int, ...]) -> None:
    if not layers or min(layers) < 0:
        raise ValueError(f"layers {list(layers)}: expected numbers of blocks, counted from 0")
