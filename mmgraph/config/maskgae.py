"""Settings of MaskGAE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, shares, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmgraph.config.links import LinksConfig
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig


@dataclass
class EdgeMaskConfig:
    """Which edges are hidden."""

    kind: Literal["edge", "path"] = "path"
    """Edges each by itself, or those that random walks pass."""
    ratio: float = 0.7
    """Share of the edges that is hidden, or of what walks start from."""
    start: Literal["node", "edge"] = "edge"
    """What walks start from: nodes, or the sources of edges (path)."""
    length: int = 2
    """Steps of a walk (path)."""
    leak: bool = False
    """As released: directions are drawn apart, and an edge stays visible where its reverse is not drawn."""
    limit: int | None = None
    """Predict at most so many of the hidden edges in a step; null for all."""

    def __post_init__(self) -> None:
        at_least(self, 1, "length")
        shares(self, "ratio")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit {self.limit}: expected at least 1, or null for no limit")


@dataclass
class MaskGAEConfig:
    """MaskGAE for pretraining; the defaults are the published model for links of Cora."""

    width: int = 1433
    """Features a node."""
    dim: int = 128
    """Width of the encoder's layers but the last."""
    out: int = 128
    """Width of its last layer."""
    depth: int = 1
    """Layers of graph convolution."""
    dropout: float = 0.8
    """Dropout of the input of every layer."""
    norm: Literal["none", "batchnorm"] = "batchnorm"
    """Norm after every layer, before the activation."""
    decoder_dim: int = 64
    """Width of the hidden layer of both decoders."""
    decoder_dropout: float = 0.2
    """Dropout in both decoders."""
    degree_weight: float = 0.003
    """Weight of the degree loss; 0 for none."""
    mask: EdgeMaskConfig = field(default_factory=EdgeMaskConfig)

    def __post_init__(self) -> None:
        at_least(self, 1, "width", "dim", "out", "depth", "decoder_dim")
        at_least(self, 0, "degree_weight")
        within(self, 0, 1, "dropout", "decoder_dropout")


@dataclass
class MaskGAERecipe:
    """Everything that a pretraining of MaskGAE is made of."""

    system: Literal["maskgae"] = "maskgae"
    """The system this recipe trains."""
    data: str = "digits"
    """What to train on: a built-in set, or layout:path. `mmgraph list --data` names the layouts."""
    model: MaskGAEConfig = field(default_factory=MaskGAEConfig)
    links: LinksConfig = field(default_factory=LinksConfig)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            algorithm="adam", lr=0.01, schedule="constant", weight_decay=5e-5, warmup_epochs=0, clip_norm=1.0
        )
    )
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=500, batch_size=1))
    probe_nodes: NodeProbeConfig = field(
        default_factory=lambda: NodeProbeConfig(weight_decay=1e-3, epochs=100, init="xavier", ties="first")
    )
    """Settings of `mmgraph probe` on a graph whose nodes have labels."""
    probe_graphs: GraphProbeConfig = field(default_factory=GraphProbeConfig)
    """Settings of `mmgraph probe` on graphs that have labels."""
    run: RunConfig = field(default_factory=RunConfig)
