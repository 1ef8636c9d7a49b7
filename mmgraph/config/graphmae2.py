"""Settings of GraphMAE2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, more_than_zero, shares, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmgraph.config.encoder import GraphEncoderConfig
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig
from mmgraph.config.sampling import SamplingConfig


@dataclass
class GraphMAE2Config:
    """GraphMAE2 for pretraining; the defaults are the published model for Cora."""

    width: int = 1433
    """Features a node."""
    encoder: GraphEncoderConfig = field(default_factory=lambda: GraphEncoderConfig(dim=1024, heads=8))
    """The encoder, which sees all nodes, the hidden ones as tokens; the decoder is one more layer of its kind."""
    mask_ratio: float = 0.5
    """Share of the nodes that is hidden."""
    gamma: float = 3.0
    """Exponent of the scaled cosine error of the features."""
    remask: Literal["fixed", "random"] = "fixed"
    """The decoder loses the embeddings of the hidden nodes, as in GraphMAE, or those of random nodes in several views."""
    remask_ratio: float = 0.5
    """Share of the nodes that each view loses (random)."""
    views: int = 3
    """Views whose errors are summed (random)."""
    drop_edge: float = 0.0
    """Share of the directed edges that the encoder does not see, and of others that the teacher does not see."""
    projector_dim: int = 256
    """Width between the two layers of the projector."""
    latent_weight: float = 0.15
    """Weight of the prediction of the teacher's embeddings."""
    momentum: float = 0.0
    """What the teacher keeps of itself at each step; 0 copies the student, 1 stays at the start."""
    teacher_delay: int = 0
    """Epochs before the teacher begins to follow."""
    init: Literal["zeros", "xavier"] = "zeros"
    """Tokens begin at zero, or tokens and the layer before the decoder as Xavier normal (large graphs)."""

    def __post_init__(self) -> None:
        at_least(self, 1, "width", "views", "projector_dim")
        at_least(self, 0, "latent_weight", "teacher_delay")
        within(self, 0, 1, "drop_edge")
        shares(self, "mask_ratio", "remask_ratio")
        more_than_zero(self, "gamma")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum {self.momentum}: expected at least 0 and at most 1")


@dataclass
class GraphMAE2Recipe:
    """Everything that a pretraining of GraphMAE2 is made of."""

    system: Literal["graphmae2"] = "graphmae2"
    """The system this recipe trains."""
    data: str = "digits"
    """What to train on: a built-in set, or layout:path. `mmgraph list --data` names the layouts."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """Subgraphs to train on, where one graph is too large for a step."""
    model: GraphMAE2Config = field(default_factory=GraphMAE2Config)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            algorithm="adam", weight_decay=2e-4, warmup_epochs=0, min_lr=0.0, lr_update="epoch"
        )
    )
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=2000, batch_size=1))
    probe_nodes: NodeProbeConfig = field(default_factory=lambda: NodeProbeConfig(lr=0.025))
    """Settings of `mmgraph probe` on a graph whose nodes have labels."""
    probe_graphs: GraphProbeConfig = field(default_factory=GraphProbeConfig)
    """Settings of `mmgraph probe` on graphs that have labels."""
    run: RunConfig = field(default_factory=RunConfig)
