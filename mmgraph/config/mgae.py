"""Settings of MGAE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, shares, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmgraph.config.links import LinksConfig
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig


@dataclass
class MGAEConfig:
    """MGAE for pretraining; the defaults are the released settings for Planetoid."""

    width: int = 1433
    """Features a node."""
    dim: int = 128
    """Width of every layer."""
    depth: int = 2
    """Layers of graph convolution."""
    dropout: float = 0.5
    """Dropout after every activation but the encoder's last."""
    decoder_dim: int = 256
    """Width of the decoder's hidden layers."""
    decoder_depth: int = 2
    """Layers of the decoder."""
    mask_ratio: float = 0.7
    """Share of the undirected edges that is hidden."""
    limit: int | None = None
    """Predict at most so many of the hidden edges in a step; null for all."""

    def __post_init__(self) -> None:
        at_least(self, 1, "width", "dim", "depth", "decoder_dim")
        at_least(self, 2, "decoder_depth")
        within(self, 0, 1, "dropout")
        shares(self, "mask_ratio")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit {self.limit}: expected at least 1, or null for no limit")


@dataclass
class MGAERecipe:
    """Everything that a pretraining of MGAE is made of."""

    system: Literal["mgae"] = "mgae"
    """The system this recipe trains."""
    data: str = "digits"
    """What to train on: a built-in set, or layout:path. `mmgraph list --data` names the layouts."""
    model: MGAEConfig = field(default_factory=MGAEConfig)
    links: LinksConfig = field(default_factory=lambda: LinksConfig(every=1, test_sees="train"))
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            algorithm="adam", lr=0.01, schedule="constant", weight_decay=0.0, warmup_epochs=0, clip_norm=1.0
        )
    )
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=200, batch_size=1))
    probe_nodes: NodeProbeConfig = field(default_factory=NodeProbeConfig)
    """Settings of `mmgraph probe` on a graph whose nodes have labels."""
    probe_graphs: GraphProbeConfig = field(default_factory=GraphProbeConfig)
    """Settings of `mmgraph probe` on graphs that have labels."""
    run: RunConfig = field(default_factory=RunConfig)
