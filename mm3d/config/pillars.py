"""Settings of the systems on pillars of LiDAR sweeps. Free of torch, so that the command line answers at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, divided_by_heads, shares, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mm3d.config.voxels import GridConfig, SweepsConfig, Triple


@dataclass
class PillarGridConfig(GridConfig):
    """The part of space that is looked at, and its pillars; the defaults are those of Hess et al. on nuScenes."""

    low: tuple[float, float, float] = (-50.0, -50.0, -5.0)
    """Lower corner (x, y, z) in metres, in the frame of the sensor."""
    high: tuple[float, float, float] = (50.0, 50.0, 3.0)
    """Upper corner (x, y, z)."""
    voxel_size: tuple[float, float, float] = (0.5, 0.5, 8.0)
    """Edges (x, y, z) of a pillar in metres; it is as high as the range."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shape[0] != 1:
            raise ValueError(f"voxel_size {list(self.voxel_size)}: {self.shape[0]} cells along z; a pillar has one")

    @property
    def shape(self) -> Triple:
        """Cells (z, y, x); one along z."""
        depth, height, width = super().shape
        return depth - 1, height, width

    @property
    def cells(self) -> int:
        """Pillars of a scene, empty ones and others."""
        return self.shape[1] * self.shape[2]


@dataclass
class PillarEncoderConfig:
    """Pillar features and windowed attention over pillars that hold points (SST); the defaults are those of Hess et al."""

    grid: PillarGridConfig = field(default_factory=PillarGridConfig)
    """Where pillars are."""
    features: int = 4
    """Features of a point: x, y, z and intensity."""
    point_dim: int = 64
    """Width of the first of the two layers on points."""
    dim: int = 128
    """Width of tokens."""
    depth: int = 8
    """Blocks, each of two layers: one on windows, one on windows moved by half of their edge."""
    heads: int = 8
    """Attention heads."""
    hidden: int = 256
    """Width of the layers' MLPs."""
    window: int = 16
    """Edge of a window, in pillars."""
    norm_momentum: float = 0.01
    """Share of a batch in batch norm's running statistics; runs of a few hundred steps need more than the published 0.01."""
    embed: Literal["all", "visible"] = "all"
    """In training, embed the points of all pillars as published (batch norm then sees all), or of visible ones alone."""

    def __post_init__(self) -> None:
        at_least(self, 3, "features")
        at_least(self, 1, "point_dim", "dim", "depth", "heads", "hidden", "window")
        within(self, 0, 1, "norm_momentum")
        divided_by_heads(self)
        if self.dim % 4:
            raise ValueError(f"dim {self.dim}: expected a multiple of 4, for sines and cosines of x and y")


@dataclass
class HessVoxelMAEConfig:
    """Voxel-MAE of Hess et al.; the defaults are the published model."""

    encoder: PillarEncoderConfig = field(default_factory=PillarEncoderConfig)
    """The encoder, which sees the visible pillars."""
    decoder_depth: int = 6
    """Blocks of the decoder."""
    mask_ratio: float = 0.7
    """Share of the pillars with points that are hidden."""
    empty_ratio: float = 0.1
    """Empty pillars that the decoder is asked about, as a share of those with points."""
    points: int = 10
    """Points that are predicted for a hidden pillar."""
    chamfer_weight: float = 1.0
    """Weight of the points."""
    count_weight: float = 1.0
    """Weight of the number of points."""
    empty_weight: float = 1.0
    """Weight of telling empty pillars from others."""

    def __post_init__(self) -> None:
        at_least(self, 1, "decoder_depth", "points")
        at_least(self, 0, "empty_ratio", "chamfer_weight", "count_weight", "empty_weight")
        shares(self, "mask_ratio")


@dataclass
class GeoMAEConfig:
    """GeoMAE; the defaults are the model of the released configuration."""

    encoder: PillarEncoderConfig = field(
        default_factory=lambda: PillarEncoderConfig(
            PillarGridConfig((-51.2, -51.2, -5.0), (51.2, 51.2, 3.0), (0.256, 0.256, 8.0)), depth=6, window=12
        )
    )
    """The encoder, which sees the visible pillars."""
    decoder_depth: int = 2
    """Blocks of each of the two decoders."""
    mask_ratio: float = 0.7
    """Share of the pillars with points that are hidden."""
    low: tuple[int, int, int] = (4, 4, 8)
    """Sub-voxels (x, y, z) of a pillar at the finest scale."""
    middle: tuple[int, int, int] = (2, 2, 4)
    """Sub-voxels (x, y, z) of a pillar at the middle scale; surfaces are fitted to their centroids."""
    centroid_weights: tuple[float, float, float] = (10.0, 8.0, 10.0)
    """Weights of the centroids: finest scale, middle scale, whole pillar."""
    occupancy_weights: tuple[float, float] = (5.0, 2.0)
    """Weights of the occupancy of sub-voxels: finest scale, middle scale."""
    normal_weight: float = 4.0
    """Weight of the surface normal."""
    normal_sign: Literal["sensor", "either"] = "sensor"
    """Normals are turned towards the sensor, or the nearer of both directions is the target."""
    curvature_weight: float = 0.0
    """Weight of the curvature; 0 for none, as the released code trains, more for what the paper describes."""

    def __post_init__(self) -> None:
        at_least(self, 1, "decoder_depth")
        at_least(self, 0, "normal_weight", "curvature_weight")
        shares(self, "mask_ratio")
        if min(*self.low, *self.middle) < 1:
            raise ValueError(f"low {list(self.low)}: expected at least 1 sub-voxel along each axis, at both scales")
        if min(*self.centroid_weights, *self.occupancy_weights) < 0:
            raise ValueError(f"centroid_weights {list(self.centroid_weights)}: expected weights of at least 0")


def whole_sweeps() -> SweepsConfig:
    """Sweeps with all points, and the augmentations of Hess et al."""
    return SweepsConfig(0, 0, ("rotate", "scale", "flip_y"), rotation=0.3925)


@dataclass
class HessVoxelMAERecipe:
    """Everything that a pretraining of Voxel-MAE of Hess et al. is made of."""

    system: Literal["voxel_mae_hess"] = "voxel_mae_hess"
    """The system this recipe trains."""
    data: str = "street"
    """What to train on: street (generated), a folder of sweeps or one file; several with commas."""
    sweeps: SweepsConfig = field(default_factory=whole_sweeps)
    model: HessVoxelMAEConfig = field(default_factory=HessVoxelMAEConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunConfig = field(default_factory=RunConfig)


@dataclass
class GeoMAERecipe:
    """Everything that a pretraining of GeoMAE is made of."""

    system: Literal["geomae"] = "geomae"
    """The system this recipe trains."""
    data: str = "street"
    """What to train on: street (generated), a folder of sweeps or one file; several with commas."""
    sweeps: SweepsConfig = field(default_factory=whole_sweeps)
    model: GeoMAEConfig = field(default_factory=GeoMAEConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunConfig = field(default_factory=RunConfig)
