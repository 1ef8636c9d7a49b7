"""MGAE: masked graph autoencoder with a decoder across layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.dropout import Dropout
from core.masked_model import MaskedModel, Objective
from core.random import Randomness
from core.saving import Pretrained
from mmgraph.config import MGAEConfig
from mmgraph.edge_masks import EdgeMask, mask_edges
from mmgraph.graph import Graphs, check_edges, check_width
from mmgraph.layers.features import NodeFeatures
from mmgraph.layers.gcn import GCNLayer, symmetric_shares
from mmgraph.layers.links import LinkHead, link_labels, link_loss


class MGAEEncoder(nn.Module):
    """Graph convolutions over the visible edges; every layer's output is kept: (graphs, mask) -> depth times (T, C)."""

    def __init__(self, config: MGAEConfig) -> None:
        super().__init__()
        widths = [config.width] + [config.dim] * (config.depth - 1)
        self.layers = nn.ModuleList(GCNLayer(width, config.dim) for width in widths)
        self.dropout = Dropout(config.dropout)

    def forward(self, graphs: Graphs, mask: EdgeMask | None = None) -> list[Tensor]:
        edges, weights = (graphs.edges, graphs.weights) if mask is None else graphs.edges_without(mask.hidden)
        share = symmetric_shares(edges, weights)
        x: NodeFeatures | Tensor = NodeFeatures(graphs)
        found = []
        for number, layer in enumerate(self.layers, 1):
            x = F.relu(layer(x, edges, share))
            x = x if number == len(self.layers) else self.dropout(x)
            found.append(x)
        return found


class CrossCorrelationDecoder(LinkHead):
    """Products of both ends' embeddings for every pair of layers, side by side, through an MLP: a logit for every pair.

    Source: Tan et al., "MGAE", Section 3.3 and Eq. 5.
    """

    def __init__(self, config: MGAEConfig) -> None:
        super().__init__()
        widths = [config.dim * config.depth**2, *[config.decoder_dim] * (config.decoder_depth - 1)]
        self.layers = nn.ModuleList(nn.Linear(a, config.decoder_dim) for a in widths[:-1])
        self.outer = nn.Linear(widths[-1], 1)
        self.dropout = Dropout(config.dropout)

    def score(self, latent: list[Tensor], pairs: Tensor) -> Tensor:
        sources, targets = ([layer[end] for layer in latent] for end in pairs)
        x = torch.cat([a * b for a in sources for b in targets], 1)
        for layer in self.layers:
            x = self.dropout(F.relu(layer(x)))
        return self.outer(x).squeeze(1)


class MGAE(Pretrained, MaskedModel):
    """Hide seven tenths of the edges, encode what is left, and predict the hidden ones from all layers together.

    Args:
        config: sizes and mask; the defaults are the released settings for Planetoid.

    Shapes: a batch is a :class:`~mmgraph.graph.Graphs` of T nodes. ``model(graphs, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with part ``edge``; ``encode`` gives all layers side by side,
    (T, dim * depth); ``score_edges`` a logit for each of some pairs.

    Where this differs from the released script: negatives are no edges of the whole training graph, there only not of
    the visible part; each hidden edge is predicted in both directions; encoder and decoder are clipped together; the best
    of all epochs is kept, there training ends after 50 epochs without a better one.

    Source: Tan et al., "MGAE: Masked Autoencoders for Self-Supervised Learning on Graphs", arXiv:2201.02534;
    mgae_main_planetoid.py, GCN_mgaev3 and LPDecoder (v1) in model.py of the official code.
    """

    Config = MGAEConfig
    encoder: MGAEEncoder

    def __init__(self, config: MGAEConfig) -> None:
        super().__init__(
            MGAEEncoder(config), {"edge": Objective(CrossCorrelationDecoder(config), link_labels, link_loss)}
        )
        self.config = config

    def check(self, graphs: Graphs, source: str) -> None:
        """See that graphs have the features this model was made for.

        Raises:
            UserError: another width, or too few edges.
        """
        check_width(graphs, self.config.width, source)
        check_edges(graphs, source)

    def draw_mask(self, batch: Graphs, randomness: Randomness = None) -> EdgeMask:
        """Which edges are hidden and predicted, and which pairs they are told from."""
        return mask_edges(batch, self.config.mask_ratio, randomness, self.config.limit)

    def encode(self, batch: Graphs) -> Tensor:
        """Embeddings of all nodes on all edges, every layer: (T, C)."""
        return torch.cat(self.encoder(batch), 1)

    def score_edges(self, batch: Graphs, pairs: Tensor) -> Tensor:
        """How likely each of (2, P) pairs is an edge, given the batch's edges: (P,) logits."""
        head = self.objectives["edge"].head
        assert isinstance(head, LinkHead)
        return head.score(self.encoder(batch), pairs)
