"""GraphMAE: masked graph autoencoders that reconstruct node features."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn

from core.losses import scaled_cosine_error
from core.masked_model import MaskedModel, Objective
from core.masking import Mask
from core.random import Randomness
from core.saving import Pretrained
from mmgraph.config import GraphEncoderConfig, GraphMAEConfig
from mmgraph.drop_edges import drop_edges, kept_edges
from mmgraph.graph import Graphs, check_width
from mmgraph.layers.encoder import GraphEncoder, new_layer
from mmgraph.layers.features import NodeFeatures
from mmgraph.layers.gat import GATLayer
from mmgraph.masks import NodeMask, mask_nodes


class TokenEncoder(nn.Module):
    """An encoder that sees a learned token in place of hidden nodes: (graphs, mask) -> (T, C)."""

    def __init__(self, width: int, encoder: GraphEncoder) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, width))
        self.encoder = encoder

    def forward(self, graphs: Graphs, mask: NodeMask | None = None) -> Tensor:
        edges = kept_edges(graphs, None if mask is None else mask.kept)
        return self.encoder(NodeFeatures(graphs, mask, self.token), edges)


class GraphMAEDecoder(nn.Module):
    """Hidden nodes' embeddings are set to zero, then one layer reads them from their neighbours: (T, C) -> (M, F).

    The layer sees all edges, also those that were dropped for the encoder, and has no residual, whatever the encoder has,
    as in the official code.

    Args:
        width: of the features F.
        config: of the encoder.
    """

    def __init__(self, width: int, config: GraphEncoderConfig) -> None:
        super().__init__()
        self.bridge = nn.Linear(config.dim, config.dim, bias=False)
        self.layer = new_layer(config.dim, width, dataclasses.replace(config, residual=False), heads=1)

    def forward(self, latent: Tensor, graphs: Graphs, mask: Mask) -> Tensor:
        seen = self.bridge(latent[mask.visible_index])
        remasked = seen.new_zeros(len(latent), seen.shape[1]).index_copy(0, mask.visible_index, seen)
        return self.read([remasked], graphs, mask)[0]

    def read(self, views: Iterable[Tensor], graphs: Graphs, mask: Mask) -> list[Tensor]:
        """What the layer makes of the hidden nodes: (M, F) for each of several re-masked (T, C)."""
        if isinstance(self.layer, GATLayer):  # nothing in it looks at other rows than those that are scored
            edges = graphs.edges.of_rows(mask.hidden_index)
            return [self.layer(view, edges) for view in views]
        return [self.layer(view, graphs.edges)[mask.hidden_index] for view in views]


class GraphMAE(Pretrained, MaskedModel):
    """Replace the features of most nodes by a token, and reconstruct them by scaled cosine error.

    Args:
        config: sizes and mask; the defaults are the published model for Cora.

    Shapes: a batch is a :class:`~mmgraph.graph.Graphs` of T nodes. ``model(graphs, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with part ``sce``; ``encode`` gives (T, C).

    Source: Hou et al., "GraphMAE: Self-Supervised Masked Graph Autoencoders", KDD 2022, Section 3; models/edcoder.py of
    its official code, also where the two differ: noise nodes lose the token, a hidden node may keep its features. Edges
    are dropped for the encoder only, as in the official branch main, which made the published numbers (branch pyg
    decodes on what is left of the edges); every node has one self-loop, which official dropping may double.
    """

    Config = GraphMAEConfig
    encoder: TokenEncoder

    def __init__(self, config: GraphMAEConfig) -> None:
        loss = partial(scaled_cosine_error, gamma=config.gamma)
        encoder = TokenEncoder(config.width, GraphEncoder(config.width, config.encoder))
        decoder = GraphMAEDecoder(config.width, config.encoder)
        super().__init__(encoder, {"sce": Objective(decoder, hidden_features, loss)})
        self.config = config

    def check(self, graphs: Graphs, source: str) -> None:
        """See that graphs have the features this model was made for.

        Raises:
            UserError: another width.
        """
        check_width(graphs, self.config.width, source)

    def draw_mask(self, batch: Graphs, randomness: Randomness = None) -> NodeMask:
        """Which nodes are hidden, what stands in their place, and which edges the encoder sees."""
        mask = mask_nodes(batch.offsets, self.config.mask_ratio, self.config.replace_ratio, randomness)
        if self.config.drop_edge:
            mask.kept = drop_edges(batch, self.config.drop_edge, randomness)
        return mask

    def encode(self, batch: Graphs) -> Tensor:
        """Embeddings of all nodes, nothing hidden: (T, C)."""
        return self.encoder(batch)

    @property
    def message_passing(self) -> GraphEncoder:
        """The layers that make embeddings of features, for graphs that are embedded in blocks."""
        return self.encoder.encoder


def hidden_features(graphs: Graphs, mask: Mask) -> Tensor:
    """Features of the hidden nodes: (M, F)."""
    return graphs.x[mask.hidden_index]
