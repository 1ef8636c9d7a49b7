"""Classification of nodes or graphs on the encoder of any pretrained model."""

from __future__ import annotations

from torch import Tensor, nn

from core.config import from_dict
from core.dropout import dropout
from core.saving import MODEL, Pretrained, class_named
from mmgraph.config import GraphClassifierConfig
from mmgraph.graph import Graphs
from mmgraph.layers.pool import pool_nodes
from mmgraph.models import classes


class GraphClassifier(Pretrained, nn.Module):
    """Node embeddings, pooled where graphs have the classes, through dropout and one linear layer.

    The encoder is the pretrained model without its objectives: what its ``encode`` computes, with gradient.

    Shapes: ``forward(graphs)``: T nodes in B graphs -> (T, K) logits of nodes, or (B, K) of graphs. ``encode`` gives the
    encoder's (T, C).

    Raises:
        UserError: the configuration names no model of mmgraph, or is not one of its.
    """

    Config = GraphClassifierConfig

    def __init__(self, config: GraphClassifierConfig) -> None:
        super().__init__()
        self.config = config
        kind = class_named(config.system, classes(), MODEL, "mmgraph")
        self.encoder = kind(from_dict(kind.Config, config.model, f"{MODEL}: model"))
        self.encoder.objectives = nn.ModuleDict()  # decoders are not fine-tuned, and not saved again
        self.head = nn.Linear(config.width, config.classes)

    def check(self, graphs: Graphs, source: str) -> None:
        """See that graphs have the features that the encoder was made for.

        Raises:
            UserError: as the encoder's own.
        """
        self.encoder.check(graphs, source)

    def encode(self, batch: Graphs) -> Tensor:
        """Embeddings of all nodes: (T, C)."""
        return self.encoder.encode(batch)

    def forward(self, batch: Graphs) -> Tensor:
        x = self.encode(batch)
        if self.config.task == "graphs":
            x = pool_nodes(x, batch, self.config.pool)
        return self.head(dropout(x, self.config.dropout, self.training))
