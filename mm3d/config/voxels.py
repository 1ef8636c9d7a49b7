"""Settings of the systems on voxels of LiDAR sweeps. Free of torch, so that the command line answers at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, within
from core.training.config import OptimConfig, RunConfig, TrainConfig

Triple = tuple[int, int, int]


@dataclass
class GridConfig:
    """The part of space that is looked at, and its cells; the defaults are those of OpenPCDet's models on KITTI."""

    low: tuple[float, float, float] = (0.0, -40.0, -3.0)
    """Lower corner (x, y, z) in metres, in the frame of the sensor."""
    high: tuple[float, float, float] = (70.4, 40.0, 1.0)
    """Upper corner (x, y, z)."""
    voxel_size: tuple[float, float, float] = (0.05, 0.05, 0.1)
    """Edges (x, y, z) of a voxel in metres."""

    def __post_init__(self) -> None:
        for low, high, size in zip(self.low, self.high, self.voxel_size, strict=True):
            if not (size > 0 and high > low):
                raise ValueError(f"voxel_size {list(self.voxel_size)}: expected positive edges, and high above low")
            if abs((high - low) / size - round((high - low) / size)) > 1e-4:
                raise ValueError(f"voxel_size {size}: does not divide the range from {low} to {high}")

    @property
    def shape(self) -> Triple:
        """Cells (z, y, x), with one more along z that stays empty, as OpenPCDet's backbones have it."""
        x, y, z = (round((h - l) / s) for l, h, s in zip(self.low, self.high, self.voxel_size, strict=True))  # noqa: E741
        return z + 1, y, x


@dataclass
class VoxelEncoderConfig:
    """The backbone VoxelBackBone8x; the defaults are OpenPCDet's."""

    grid: GridConfig = field(default_factory=GridConfig)
    """Where voxels are."""
    features: int = 4
    """Features of a point: x, y, z and intensity."""
    channels: tuple[int, int, int, int] = (16, 32, 64, 64)
    """Widths of the four stages."""
    out_channels: int = 128
    """Width of the last layer, which joins the cells along z."""
    norm_momentum: float = 0.01
    """Share of a batch in batch norm's running statistics; runs of a few hundred steps need more than OpenPCDet's 0.01."""

    def __post_init__(self) -> None:
        at_least(self, 3, "features")
        at_least(self, 1, "out_channels")
        within(self, 0, 1, "norm_momentum")
        if min(self.channels) < 1:
            raise ValueError(f"channels {list(self.channels)}: expected at least 1 each")
        if min(self.grid.shape[1:]) < 8 or self.grid.shape[0] < 31:
            raise ValueError(f"grid.voxel_size: {self.grid.shape} cells (z, y, x) are too few for four stages")


@dataclass
class RangeMaskConfig:
    """Which voxels are hidden: a share of those in each ring around the sensor."""

    edges: tuple[float, ...] = (30.0, 50.0)
    """Radii that divide the rings, horizontal; none for one ratio everywhere."""
    ratios: tuple[float, ...] = (0.9, 0.7, 0.5)
    """Share hidden in each ring, from the inner one outwards."""
    measure: Literal["metres", "cells"] = "metres"
    """Radii in metres from the sensor, as the paper says; or in cells from the grid's corner, as the first code did."""

    def __post_init__(self) -> None:
        if len(self.ratios) != len(self.edges) + 1:
            raise ValueError(f"ratios {list(self.ratios)}: expected one more than the {len(self.edges)} edges")
        if not all(0 <= ratio < 1 for ratio in self.ratios) or max(self.ratios) == 0:
            raise ValueError(f"ratios {list(self.ratios)}: expected shares of at least 0 and less than 1, one above 0")
        if sorted(set(self.edges)) != list(self.edges):
            raise ValueError(f"edges {list(self.edges)}: expected ascending radii")


@dataclass
class VoxelMAEConfig:
    """Voxel-MAE of Min et al.; the defaults are the published model (829,672 parameters)."""

    encoder: VoxelEncoderConfig = field(default_factory=VoxelEncoderConfig)
    """The encoder, which sees the visible voxels."""
    decoder_channels: tuple[int, int] = (32, 8)
    """Widths between the three transposed convolutions."""
    mask: RangeMaskConfig = field(default_factory=RangeMaskConfig)
    """Which voxels are hidden."""
    balance: Literal["none", "classes"] = "none"
    """Every cell counts the same, as published, or occupied and empty cells count half each."""

    def __post_init__(self) -> None:
        if min(self.decoder_channels) < 1:
            raise ValueError(f"decoder_channels {list(self.decoder_channels)}: expected at least 1 each")
        depth, height, width = self.encoder.grid.shape
        if height % 8 or width % 8:
            raise ValueError(f"encoder.grid.voxel_size: {width} x {height} cells; the decoder needs multiples of 8")
        if decoded_depth(depth) != depth:
            raise ValueError(f"encoder.grid.voxel_size: {depth - 1} cells along z; the decoder needs 40 or 64")


def decoded_depth(depth: int) -> int:
    """Cells along z that the three transposed convolutions make of what the encoder makes of ``depth``."""
    for padding in (1, 1, 0, 0):
        depth = (depth + 2 * padding - 3) // 2 + 1
    for stride in (2, 4, 3):
        depth = (depth - 1) * stride + 2
    return depth


@dataclass
class SweepsConfig:
    """How a stored sweep becomes a sample. These settings change results."""

    max_points: int = 5
    """Points of a voxel that are averaged, the first ones of the file; 0 for all."""
    max_voxels: int = 16000
    """Voxels of a sample, those whose points come first; 0 for all."""
    augment: tuple[Literal["flip_y", "flip_x", "rotate", "scale"], ...] = ("flip_y", "rotate", "scale")
    """Augmentations of training, in order: mirror y or x, turn about z, scale."""
    rotation: float = 0.785398
    """Largest turn either way, in radians."""
    scaling: tuple[float, float] = (0.95, 1.05)
    """Range of the scale."""
    close: float = 0.0
    """Points with |x| and |y| below this, in metres, are left out: what the car that carries the sensor reflects. 0 for none."""
    columns: Literal[0, 4, 5] = 0
    """Columns of .bin files; 0 tells by the name: 5 for .pcd.bin (nuScenes), else 4 (KITTI)."""
    minimum: int = 100
    """Voxels in range that a sweep needs to be used."""
    on_error: Literal["stop", "skip"] = "stop"
    """What a sweep that cannot be used does: stop the run, or be skipped and listed in the run folder."""

    def __post_init__(self) -> None:
        at_least(self, 0, "max_points", "max_voxels", "rotation", "close")
        at_least(self, 2, "minimum")
        if not 0 < self.scaling[0] <= self.scaling[1]:
            raise ValueError(f"scaling {list(self.scaling)}: expected two positive factors, ascending")


@dataclass
class VoxelMAERecipe:
    """Everything that a pretraining of Voxel-MAE is made of."""

    system: Literal["voxel_mae"] = "voxel_mae"
    """The system this recipe trains."""
    data: str = "street"
    """What to train on: street (generated), a folder of sweeps or one file; several with commas."""
    sweeps: SweepsConfig = field(default_factory=SweepsConfig)
    model: VoxelMAEConfig = field(default_factory=VoxelMAEConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunConfig = field(default_factory=RunConfig)
