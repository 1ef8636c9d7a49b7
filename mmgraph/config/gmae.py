"""Settings of GMAE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, shares, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig


@dataclass
class GMAEConfig:
    """GMAE for pretraining; the defaults are the published model for Cora."""

    width: int = 1433
    """Features a node."""
    dim: int = 64
    """Width of the node embeddings."""
    heads: int = 8
    """Attention heads."""
    depth: int = 4
    """Blocks of the encoder, which sees visible nodes only."""
    decoder_depth: int = 2
    """Blocks of the decoder."""
    mlp_ratio: float = 1.0
    """Hidden width of every MLP as a multiple of dim."""
    input_dropout: float = 0.1
    """Dropout of the encoder's input."""
    dropout: float = 0.5
    """Dropout of the output of every attention and every MLP."""
    attention_dropout: float = 0.1
    """Dropout of the attention weights."""
    mask_ratio: float = 0.8
    """Share of the nodes of every graph that is hidden."""
    loss: Literal["mse", "bce"] = "mse"
    """Squared error of the features, or cross-entropy of features that are 0 or 1, as the official code has for graphs."""
    offset: float = 0.0
    """Added to all features at the input, and to the target of mse; 1 in the official code, to tell nodes from padding."""
    unreachable: Literal["cut", "bias"] = "cut"
    """Nodes without a path between them: no attention (official for nodes), or a learned bias (official for graphs)."""
    max_degree: int = 510
    """Larger degrees share an embedding."""
    max_distance: int = 509
    """Longer shortest paths share a bias."""
    largest: int | None = None
    """Among many graphs: those with more nodes are left out of the training; null for none."""
    neighbours: tuple[int, int] = (3, 3)
    """In one large graph: how many neighbours the root of an ego-graph draws, and then each node found."""
    views: int = 10
    """In one large graph: from how many ego-graphs a node is embedded; their mean is taken."""

    def __post_init__(self) -> None:
        at_least(self, 1, "width", "dim", "heads", "depth", "decoder_depth", "max_degree", "max_distance", "views")
        within(self, 0, 1, "input_dropout", "dropout", "attention_dropout")
        if self.dim % self.heads:
            raise ValueError(f"heads {self.heads}: do not divide dim {self.dim}")
        if int(self.mlp_ratio * self.dim) < 1:
            raise ValueError(f"mlp_ratio {self.mlp_ratio}: expected a hidden width of at least 1")
        shares(self, "mask_ratio")
        if self.largest is not None and self.largest < 2:
            raise ValueError(f"largest {self.largest}: expected at least 2 nodes, or null")
        if min(self.neighbours) < 1:
            raise ValueError(f"neighbours {list(self.neighbours)}: expected two numbers of at least 1")


@dataclass
class GMAERecipe:
    """Everything that a pretraining of GMAE is made of."""

    system: Literal["gmae"] = "gmae"
    """The system this recipe trains."""
    data: str = "digits"
    """What to train on: a built-in set, or layout:path. `mmgraph list --data` names the layouts."""
    model: GMAEConfig = field(default_factory=GMAEConfig)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            lr=1e-4, schedule="linear", weight_decay=1e-5, warmup_epochs=470, warmup_lr=0.0, min_lr=1e-9
        )
    )
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=4706, batch_size=32, last_batch="keep"))
    probe_nodes: NodeProbeConfig = field(
        default_factory=lambda: NodeProbeConfig(lr=0.01, weight_decay=0.0, epochs=3000, init="xavier", ties="first")
    )
    """Settings of `mmgraph probe` on a graph whose nodes have labels."""
    probe_graphs: GraphProbeConfig = field(default_factory=GraphProbeConfig)
    """Settings of `mmgraph probe` on graphs that have labels."""
    run: RunConfig = field(default_factory=RunConfig)
