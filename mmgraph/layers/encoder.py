"""Message passing encoders: layers with norm and activation between them."""

from __future__ import annotations

from torch import Tensor, nn

from mmgraph.config import GraphEncoderConfig
from mmgraph.layers.features import NodeFeatures
from mmgraph.layers.gat import GATLayer
from mmgraph.layers.gin import GINLayer
from mmgraph.layers.norm_act import new_activation, new_norm
from mmgraph.ops import Pattern


class GraphEncoder(nn.Module):
    """A stack of layers of one kind, each followed by norm and activation, the last one too: (T, F) -> (T, C).

    Args:
        width: of the node features F.
        config: kind and sizes.

    Source: Hou et al., "GraphMAE", Section 3.2; models/gat.py and models/gin.py of its official code.
    """

    def __init__(self, width: int, config: GraphEncoderConfig) -> None:
        super().__init__()
        widths = [width] + [config.dim] * (config.depth - 1)
        self.layers = nn.ModuleList(new_layer(w, config.dim, config) for w in widths)
        self.norms = nn.ModuleList(new_norm(config) for _ in widths)
        self.activations = nn.ModuleList(new_activation(config) for _ in widths)

    def forward(self, x: NodeFeatures | Tensor, edges: Pattern) -> Tensor:
        for number in range(len(self.layers)):
            x = self.stage(number, x, edges)
        assert isinstance(x, Tensor)
        return x

    def stage(self, number: int, x: NodeFeatures | Tensor, edges: Pattern) -> Tensor:
        """One layer with its norm and activation, for the rows of ``edges``: (T, F) -> (R, C)."""
        return self.activations[number](self.norms[number](self.layers[number](x, edges)))


def new_layer(width: int, out: int, config: GraphEncoderConfig, heads: int | None = None) -> GATLayer | GINLayer:
    """One layer of an encoder's kind, with the encoder's heads or another number."""
    if config.kind == "gin":
        return GINLayer(width, out, config)
    heads = config.heads if heads is None else heads
    residual = config.residual and (config.residual_at == "all" or width != config.dim)
    return GATLayer(width, out // heads, heads, config.feature_dropout, config.attention_dropout, residual)
