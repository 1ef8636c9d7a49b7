"""Point-MAE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, shares
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mm3d.config.patch_encoder import PatchEncoderConfig
from mm3d.config.points import PointsConfig, check_count


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
        shares(self, "mask_ratio")
        if self.encoder.groups < 2:
            raise ValueError(f"encoder.groups {self.encoder.groups}: expected at least 2, one of them to hide")


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
        check_count(self.points, self.model.encoder.groups, self.model.encoder.group_size)
