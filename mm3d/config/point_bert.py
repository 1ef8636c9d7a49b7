"""Point-BERT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, more_than_zero, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mm3d.config.patch_encoder import PatchEncoderConfig
from mm3d.config.point_dvae import PointDVAEConfig
from mm3d.config.points import PointsConfig, check_count


@dataclass
class PointBERTConfig:
    """Point-BERT for pretraining; the defaults are the published model (25,472,896 parameters that learn)."""

    encoder: PatchEncoderConfig = field(default_factory=lambda: PatchEncoderConfig(embed_dim=256))
    """The encoder, which sees all patches, the hidden ones as a mask token."""
    tokenizer: PointDVAEConfig = field(default_factory=PointDVAEConfig)
    """The tokenizer whose codes are predicted; a training takes this from the tokenizer's run folder."""
    embed_from: Literal["tokenizer", "scratch"] = "tokenizer"
    """Where the weights of the mini-PointNet come from at the start."""
    statistics: Literal["batch", "stored"] = "batch"
    """What the tokenizer's batch norms use in training: the batch's statistics, as in the released training, or its own.
    Its own are never changed."""
    mask: Literal["block", "scattered"] = "block"
    """Which patches are hidden: those nearest to a random one, or each by itself."""
    mask_range: tuple[float, float] = (0.25, 0.45)
    """Every cloud's share of hidden patches is drawn from this range."""
    replace: float = 0.0
    """Probability that a visible patch is replaced by any patch of the batch, and is to be named as well."""
    loss_on: Literal["hidden", "all"] = "hidden"
    """Patches whose codes are predicted: hidden and replaced ones, or all."""
    contrast: tuple[Literal["mixed", "plain"], ...] = ("mixed",)
    """Momentum contrast of the class token: of mixed clouds with both of their sources, and of clouds with themselves."""
    contrast_dim: int = 512
    """Width of the features that are contrasted."""
    queue: int = 16384
    """Earlier keys that serve as negatives."""
    momentum: float = 0.999
    """Share that the key network keeps of itself at each step."""
    contrast_temperature: float = 0.07
    """Temperature of the contrast."""

    def __post_init__(self) -> None:
        at_least(self, 1, "contrast_dim", "queue")
        within(self, 0, 1, "replace")
        low, high = self.mask_range
        if not 0 < low <= high < 1:
            raise ValueError(f"mask_range {list(self.mask_range)}: expected two ascending shares between 0 and 1")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum {self.momentum}: expected at least 0 and at most 1")
        more_than_zero(self, "contrast_temperature")
        if self.replace and self.encoder.embed == "visible":
            raise ValueError(f"replace {self.replace}: needs the embedding of all patches; expected encoder.embed all")

    def check_tokenizer(self) -> None:
        """See that encoder and tokenizer have the same patches, and mini-PointNets of one size where one begins as the other.

        Raises:
            ValueError: they have not, beginning with the field's name.
        """
        for name in ("groups", "group_size", "skip_near_origin"):
            ours, theirs = getattr(self.encoder, name), getattr(self.tokenizer, name)
            if ours != theirs:
                raise ValueError(f"encoder.{name} {ours}: the tokenizer has {theirs}; expected the same")
        width = self.encoder.embed_dim or self.encoder.dim
        if self.embed_from == "tokenizer" and (width, self.encoder.widths) != (
            self.tokenizer.dim,
            self.tokenizer.widths,
        ):
            raise ValueError(
                f"embed_from tokenizer: the mini-PointNet of the encoder has widths {list(self.encoder.widths)} and {width}, "
                f"that of the tokenizer {list(self.tokenizer.widths)} and {self.tokenizer.dim}; expected the same, or scratch"
            )


@dataclass
class PointBERTRecipe:
    """Everything that a pretraining of Point-BERT is made of."""

    system: Literal["point_bert"] = "point_bert"
    """The system this recipe trains."""
    tokenizer: str = ""
    """Run folder, saved model or hub id of the tokenizer: what `mm3d tokenize point_dvae` leaves behind."""
    data: str = "furniture"
    """What to train on: a built-in set, a path, or layout:path; several with commas. `mm3d list --data` names the layouts."""
    points: PointsConfig = field(default_factory=PointsConfig)
    model: PointBERTConfig = field(default_factory=PointBERTConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=5e-4, warmup_epochs=3, lr_update="epoch"))
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        check_count(self.points, self.model.encoder.groups, self.model.encoder.group_size)
