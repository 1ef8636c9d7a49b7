"""Fine-tuning on the classes of voxels of LiDAR sweeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, shares
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mm3d.config.voxels import SweepsConfig, VoxelEncoderConfig


@dataclass
class VoxelSegmenterConfig:
    """A backbone on voxels and a linear layer that reads all its stages."""

    encoder: VoxelEncoderConfig = field(default_factory=VoxelEncoderConfig)
    """The encoder, as pretrained."""
    classes: tuple[str, ...] = ()
    """Names of the classes."""


@dataclass
class SweepFinetuneRecipe:
    """Everything that a fine-tuning on classes of voxels is made of."""

    task: Literal["voxels"] = "voxels"
    """The class of every voxel; tells this recipe from those of clouds."""
    data: str = "street"
    """Labelled sweeps: a SemanticKITTI folder, an npz with labels, or street (generated)."""
    most: int = 64
    """Sweeps of a folder that are taken, evenly spread, and held in memory; 0 for all."""
    validation: float = 0.15
    """Share of the sweeps that are not tested on that selects the epoch, at least one; of fewer than four sweeps, three
    of twelve sectors around the sensor select it."""
    sweeps: SweepsConfig = field(default_factory=lambda: SweepsConfig(max_points=0, max_voxels=0, rotation=3.141593))
    norm_momentum: float = 0.1
    """Share of a batch in batch norm's running statistics, whatever the pretraining had: runs are short."""
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=3e-3, weight_decay=0.01, warmup_epochs=0))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=20, batch_size=2, last_batch="keep"))
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        at_least(self, 0, "most")
        shares(self, "validation")
        shares(self, "norm_momentum")
