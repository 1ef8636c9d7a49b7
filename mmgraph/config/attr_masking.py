"""Settings of AttrMasking."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.config import at_least, shares, within
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig


@dataclass
class AttrMaskingConfig:
    """AttrMasking for pretraining; the defaults are the published model for molecules."""

    node_vocabulary: tuple[int, ...] = (119, 3)
    """Categories of each column of the nodes' attributes, without the mask token (molecules: element, chirality)."""
    edge_vocabulary: tuple[int, ...] = (4, 3)
    """The same for edges, without self-loop and mask token (molecules: bond type, direction); [] where they have none."""
    predict_nodes: tuple[int, ...] = (0,)
    """Columns of the nodes that are predicted; all columns of a hidden node are hidden."""
    predict_edges: tuple[int, ...] = (0,)
    """Columns of the edges that are predicted where mask_edges is on."""
    mask_ratio: float = 0.15
    """Share of the nodes of every graph that is hidden: int(n * ratio + 1) of n."""
    mask_edges: bool = False
    """Also hide and predict the edges that touch a hidden node."""
    dim: int = 300
    """Width of the node embeddings."""
    depth: int = 5
    """Layers."""
    dropout: float = 0.0
    """Dropout after every layer."""

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "depth")
        within(self, 0, 1, "dropout")
        shares(self, "mask_ratio")
        for kind in ("node", "edge"):
            sizes, columns = getattr(self, f"{kind}_vocabulary"), getattr(self, f"predict_{kind}s")
            if min(sizes, default=1) < 1:
                raise ValueError(f"{kind}_vocabulary {list(sizes)}: expected at least 1 category a column")
            if kind == "edge" and not self.mask_edges:
                continue
            if not sizes:
                wanted = "expected one number a column" if kind == "node" else "mask_edges needs edges with categories"
                raise ValueError(f"{kind}_vocabulary []: {wanted}")
            if not columns or len(set(columns)) < len(columns) or not set(columns) <= set(range(len(sizes))):
                raise ValueError(f"predict_{kind}s {list(columns)}: expected some of the columns 0 to {len(sizes) - 1}")


@dataclass
class AttrMaskingRecipe:
    """Everything that a pretraining of AttrMasking is made of."""

    system: Literal["attr_masking"] = "attr_masking"
    """The system this recipe trains."""
    data: str = "tu_categories:data/tu/MUTAG"
    """What to train on, layout:path, with categories in place of features. `mmgraph list --data` names the layouts."""
    model: AttrMaskingConfig = field(default_factory=AttrMaskingConfig)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            algorithm="adam", schedule="constant", weight_decay=0.0, warmup_epochs=0, min_lr=0.0
        )
    )
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=100, batch_size=256, last_batch="keep"))
    probe_nodes: NodeProbeConfig = field(default_factory=NodeProbeConfig)
    """Settings of `mmgraph probe` on a graph whose nodes have labels."""
    probe_graphs: GraphProbeConfig = field(default_factory=GraphProbeConfig)
    """Settings of `mmgraph probe` on graphs that have labels."""
    run: RunConfig = field(default_factory=RunConfig)
