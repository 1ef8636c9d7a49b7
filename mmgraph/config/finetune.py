"""Settings of fine-tuning, and of the classifier that it trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from core.config import at_least, within
from core.training.config import OptimConfig, RunConfig, TrainConfig


@dataclass
class GraphClassifierConfig:
    """A pretrained model's encoder with a linear head."""

    system: str = "GraphMAE"
    """Class of the pretrained model."""
    model: dict[str, Any] = field(default_factory=dict)
    """Its configuration, as model.json holds it."""
    width: int = 512
    """Of its node embeddings."""
    task: Literal["nodes", "graphs"] = "nodes"
    """What has a class: every node, or every graph."""
    classes: int = 2
    """Number of classes."""
    pool: Literal["mean", "max", "sum"] = "mean"
    """How nodes become a graph (graphs)."""
    dropout: float = 0.5
    """Dropout before the head."""

    def __post_init__(self) -> None:
        at_least(self, 1, "width", "classes")
        within(self, 0, 1, "dropout")


@dataclass
class GraphFinetuneRecipe:
    """Everything that a fine-tuning on a pretrained model of graphs is made of."""

    task: Literal["nodes", "graphs"] = "nodes"
    """Classes of nodes, or of graphs."""
    data: str = ""
    """Labelled data; that of the pretraining where none is named. `mmgraph list --data` names the layouts."""
    pool: Literal["mean", "max", "sum"] = "mean"
    """How the embeddings of a graph's nodes become one of the graph."""
    dropout: float = 0.5
    """Dropout before the linear head."""
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            algorithm="adam", lr=0.005, weight_decay=5e-4, warmup_epochs=0, min_lr=0.0, lr_update="epoch"
        )
    )
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=200, batch_size=1))
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        within(self, 0, 1, "dropout")
