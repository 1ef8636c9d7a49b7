"""Point-BERT's tokenizer: a discrete VAE of patches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, shares
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mm3d.config.points import PointsConfig, check_count

NORM_GROUPS = 4
"""Groups of the tokenizer's group norms, which divide all of its widths."""
GRID = 2
"""Side of the grid of points that is folded around every coarse point."""


@dataclass
class CosineConfig:
    """A value that goes from one number to another on half a cosine, counted in optimiser steps."""

    start: float
    """Value at the beginning."""
    end: float
    """Value at the end, and after it."""
    wait: int = 0
    """Steps before it begins to move."""
    steps: int = 100_000
    """Steps that it takes."""

    def __post_init__(self) -> None:
        at_least(self, 0, "start", "end", "wait")
        at_least(self, 1, "steps")


@dataclass
class PointDVAEConfig:
    """The discrete VAE of Point-BERT; the defaults are the published model (27,620,891 parameters)."""

    groups: int = 64
    """Patches a cloud (centres by farthest point sampling)."""
    group_size: int = 32
    """Points a patch (nearest neighbours of the centre)."""
    skip_near_origin: bool = True
    """Never take a point within 0.0316 of the origin as a centre (the rule of the official sampling kernel)."""
    codes: int = 8192
    """Size of the vocabulary."""
    dim: int = 256
    """Width of patch features, codes and decoded features."""
    widths: tuple[int, int, int] = (128, 256, 512)
    """Widths of the mini-PointNet before its last layer."""
    graph_widths: tuple[int, int, int, int, int] = (128, 256, 512, 512, 1024)
    """Widths of the two graph networks: their input and their four layers."""
    neighbors: int = 4
    """Nearest centres that a patch hears of in a layer of the graph networks, itself among them."""
    coarse_width: int = 1024
    """Width of the layers that give the coarse points."""
    fold_width: int = 512
    """Width of the layers that fold a grid around them."""
    temperature: CosineConfig = field(default_factory=lambda: CosineConfig(1.0, 0.0625))
    """Temperature of the softmax over codes."""
    kl_weight: CosineConfig = field(default_factory=lambda: CosineConfig(0.0, 0.1, wait=10_000))
    """Weight of the divergence from equally used codes."""

    def __post_init__(self) -> None:
        at_least(self, 1, "groups", "group_size", "codes", "dim", "neighbors", "coarse_width", "fold_width")
        for name in ("widths", "graph_widths"):
            if min(getattr(self, name)) < 1:
                raise ValueError(f"{name} {list(getattr(self, name))}: expected at least 1 each")
        normalized = (("codes", self.codes), ("dim", self.dim), *(("graph_widths", w) for w in self.graph_widths[1:]))
        for name, width in normalized:
            if width % NORM_GROUPS:
                raise ValueError(f"{name} {width}: expected a multiple of {NORM_GROUPS}, the groups of its norm")
        if self.group_size % GRID**2:
            raise ValueError(f"group_size {self.group_size}: expected a multiple of {GRID**2}, the points of a grid")
        if self.neighbors > self.groups:
            raise ValueError(f"neighbors {self.neighbors}: there are {self.groups} patches")
        if not min(self.temperature.start, self.temperature.end) > 0:
            raise ValueError("temperature: expected start and end above 0")


@dataclass
class PointDVAERecipe:
    """Everything that a training of Point-BERT's tokenizer is made of."""

    system: Literal["point_dvae"] = "point_dvae"
    """The system this recipe trains."""
    data: str = "furniture"
    """What to train on: a built-in set, a path, or layout:path; several with commas. `mm3d list --data` names the layouts."""
    held_out: float = 0.05
    """Share of the shapes that is not trained on, and says after every epoch what the codes are worth."""
    held_out_most: int = 512
    """Most held-out shapes that are looked at after an epoch."""
    points: PointsConfig = field(default_factory=PointsConfig)
    model: PointDVAEConfig = field(default_factory=PointDVAEConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=5e-4, weight_decay=5e-4, lr_update="epoch"))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(batch_size=64))
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        shares(self, "held_out")
        at_least(self, 1, "held_out_most")
        check_count(self.points, self.model.groups, self.model.group_size)
