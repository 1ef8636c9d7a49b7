"""Settings of GraphMAE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, more_than_zero, shares, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmgraph.config.encoder import GraphEncoderConfig
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig
from mmgraph.config.sampling import SamplingConfig


@dataclass
class GraphMAEConfig:
    """GraphMAE for pretraining; the defaults are the published model for Cora (2,000,488 parameters)."""

    width: int = 1433
    """Features a node."""
    encoder: GraphEncoderConfig = field(default_factory=GraphEncoderConfig)
    """The encoder, which sees all nodes, the hidden ones as tokens; the decoder is one more layer of its kind."""
    mask_ratio: float = 0.5
    """Share of the nodes that is hidden."""
    replace_ratio: float = 0.05
    """Share of the hidden nodes that gets the features of a random node instead of the token."""
    gamma: float = 3.0
    """Exponent of the scaled cosine error."""
    drop_edge: float = 0.0
    """Share of the directed edges that the encoder does not see; the decoder sees all."""

    def __post_init__(self) -> None:
        at_least(self, 1, "width")
        within(self, 0, 1, "replace_ratio", "drop_edge")
        shares(self, "mask_ratio")
        more_than_zero(self, "gamma")


@dataclass
class GraphMAERecipe:
    """Everything that a pretraining of GraphMAE is made of."""

    system: Literal["graphmae"] = "graphmae"
    """The system this recipe trains."""
    data: str = "digits"
    """What to train on: a built-in set, or layout:path. `mmgraph list --data` names the layouts."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """Subgraphs to train on, where one graph is too large for a step."""
    model: GraphMAEConfig = field(default_factory=GraphMAEConfig)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            algorithm="adam", weight_decay=2e-4, warmup_epochs=0, min_lr=0.0, lr_update="epoch"
        )
    )
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=1500, batch_size=1))
    probe_nodes: NodeProbeConfig = field(default_factory=NodeProbeConfig)
    """Settings of `mmgraph probe` on a graph whose nodes have labels."""
    probe_graphs: GraphProbeConfig = field(default_factory=GraphProbeConfig)
    """Settings of `mmgraph probe` on graphs that have labels."""
    run: RunConfig = field(default_factory=RunConfig)
