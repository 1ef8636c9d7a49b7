"""Settings of the graph models. Free of torch, so that the command line answers at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, within
from core.training.config import OptimConfig, RunConfig, TrainConfig


@dataclass
class GraphEncoderConfig:
    """Layers of message passing."""

    kind: Literal["gat", "gin"] = "gat"
    """Graph attention, or graph isomorphism network."""
    dim: int = 512
    """Width of the node embeddings, of all heads together."""
    depth: int = 2
    """Layers."""
    heads: int = 4
    """Attention heads (gat)."""
    feature_dropout: float = 0.2
    """Dropout of the input of every layer (gat)."""
    attention_dropout: float = 0.1
    """Dropout of the attention coefficients (gat)."""
    norm: Literal["none", "batchnorm", "layernorm"] = "none"
    """Norm after every layer, before the activation."""
    residual: bool = False
    """Add the input of every layer to its output (gat)."""

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth", "heads")
        within(self, 0, 1, "feature_dropout", "attention_dropout")
        if self.dim % self.heads:
            raise ValueError(f"heads {self.heads}: do not divide dim {self.dim}")


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

    def __post_init__(self) -> None:
        at_least(self, 1, "width")
        within(self, 0, 1, "replace_ratio")
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"mask_ratio {self.mask_ratio}: expected a share between 0 and 1")
        if self.gamma <= 0:
            raise ValueError(f"gamma {self.gamma}: expected more than 0")


@dataclass
class NodeProbeConfig:
    """The linear layer that is trained on frozen node embeddings."""

    lr: float = 0.01
    """Learning rate of Adam."""
    weight_decay: float = 1e-4
    """L2 penalty of Adam."""
    epochs: int = 300
    """Full-batch steps."""

    def __post_init__(self) -> None:
        at_least(self, 0, "lr", "weight_decay")
        at_least(self, 1, "epochs")


@dataclass
class GraphProbeConfig:
    """How the embeddings of a graph's nodes become one of the graph."""

    pool: Literal["mean", "max", "sum"] = "mean"
    """Over the nodes of a graph."""


@dataclass
class GraphMAERecipe:
    """Everything that a pretraining of GraphMAE is made of."""

    system: Literal["graphmae"] = "graphmae"
    """The system this recipe trains."""
    data: str = "digits"
    """What to train on: a built-in set, or layout:path. `mmgraph list --data` names the layouts."""
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
