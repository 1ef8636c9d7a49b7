"""Settings of the probes that read frozen embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config import at_least


@dataclass
class NodeProbeConfig:
    """The linear layer that is trained on frozen node embeddings."""

    lr: float = 0.01
    """Learning rate of Adam."""
    weight_decay: float = 1e-4
    """L2 penalty of Adam."""
    epochs: int = 300
    """Full-batch steps."""
    normalize: bool = False
    """Divide every embedding by its length before any probe of nodes; raw features stay as they are."""
    init: Literal["default", "xavier"] = "default"
    """First weights: those of torch, or Xavier's and no bias (MaskGAE, GMAE)."""
    ties: Literal["last", "first"] = "last"
    """Which of several epochs of best validation score is taken (the first: MaskGAE, GMAE)."""

    def __post_init__(self) -> None:
        at_least(self, 0, "lr", "weight_decay")
        at_least(self, 1, "epochs")


@dataclass
class GraphProbeConfig:
    """How the embeddings of a graph's nodes become one of the graph."""

    pool: Literal["mean", "max", "sum"] = "mean"
    """Over the nodes of a graph."""
