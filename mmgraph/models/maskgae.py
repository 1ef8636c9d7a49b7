"""MaskGAE: graph autoencoders that predict the edges they do not see."""

from __future__ import annotations

import itertools
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.batchnorm import BatchNorm
from core.dropout import Dropout
from core.masked_model import MaskedModel, Objective
from core.masking import Mask
from core.random import Randomness
from core.saving import Pretrained
from mmgraph.config import MaskGAEConfig
from mmgraph.edge_masks import EdgeMask, mask_edges, mask_edges_as_released, mask_paths, mask_paths_as_released
from mmgraph.graph import Graphs, check_edges, check_width
from mmgraph.layers.features import NodeFeatures
from mmgraph.layers.gcn import GCNLayer, symmetric_shares
from mmgraph.layers.links import LinkHead, link_labels, link_loss
from mmgraph.ops import Pattern


class MaskGAEEncoder(nn.Module):
    """Graph convolutions over the visible edges, each with norm and ELU: (graphs, mask) -> (T, C)."""

    def __init__(self, config: MaskGAEConfig) -> None:
        super().__init__()
        widths = [config.width, *[config.dim] * (config.depth - 1), config.out]
        self.layers = nn.ModuleList(GCNLayer(a, b) for a, b in itertools.pairwise(widths))
        norm = BatchNorm if config.norm == "batchnorm" else nn.Identity
        self.norms = nn.ModuleList(norm(width) for width in widths[1:])
        self.dropout = config.dropout

    def forward(self, graphs: Graphs, mask: EdgeMask | None = None) -> Tensor:
        edges, weights = (graphs.edges, graphs.weights) if mask is None else graphs.edges_without(mask.hidden)
        return self.every_layer(graphs, edges, weights)[-1]

    def every_layer(self, graphs: Graphs, edges: Pattern, weights: Tensor | None) -> list[Tensor]:
        """What each layer gives, first to last."""
        share = symmetric_shares(edges, weights)
        dropout = self.dropout if self.training else 0.0
        x: NodeFeatures | Tensor = NodeFeatures(graphs)
        found = []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.elu(norm(layer(x, edges, share, dropout)))
            found.append(x)
        return found


class EdgeDecoder(LinkHead):
    """The product of two nodes' embeddings, through an MLP: a logit for every pair of a mask."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, 1)
        self.dropout = Dropout(dropout)

    def score(self, latent: Tensor, pairs: Tensor) -> Tensor:
        both = self.dropout(latent[pairs[0]] * latent[pairs[1]])
        return self.outer(F.relu(self.inner(both))).squeeze(1)


class DegreeDecoder(nn.Module):
    """An MLP that ends in a ReLU: how many of its edges were drawn, for every node."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, 1)
        self.dropout = Dropout(dropout)

    def forward(self, latent: Tensor, graphs: Graphs, mask: Mask) -> Tensor:
        return F.relu(self.outer(F.relu(self.dropout(self.inner(latent))))).squeeze(1)


class MaskGAE(Pretrained, MaskedModel):
    """Hide most edges, tell them from pairs that are no edges, and predict how many each node has lost.

    Args:
        config: sizes and mask; the defaults are the published model for links of Cora.

    Shapes: a batch is a :class:`~mmgraph.graph.Graphs` of T nodes. ``model(graphs, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with parts ``edge`` and ``degree``; ``encode`` gives all layers side by
    side, (T, dim * (depth - 1) + out); ``score_edges`` a logit for each of some pairs.

    The released masks draw the two directions of an edge apart and then make the visible edges undirected, so that three
    in ten of the predicted edges are in plain sight. Here both directions are hidden; ``mask.leak`` gives theirs.
    Negatives never are edges of the graph that is trained on. Official steps of 65,536 predicted edges that share one mask
    become steps with a mask each (``mask.limit``).

    Source: Li et al., "What's Behind the Mask: Understanding Masked Graph Modeling for Graph Autoencoders", KDD 2023,
    Section 4; maskgae/model.py of the official code.
    """

    Config = MaskGAEConfig
    encoder: MaskGAEEncoder

    def __init__(self, config: MaskGAEConfig) -> None:
        sizes = config.out, config.decoder_dim, config.decoder_dropout
        objectives = {"edge": Objective(EdgeDecoder(*sizes), link_labels, link_loss)}
        if config.degree_weight:
            objectives["degree"] = Objective(DegreeDecoder(*sizes), lost_degrees, F.mse_loss, config.degree_weight)
        super().__init__(MaskGAEEncoder(config), objectives)
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
        mask = self.config.mask
        if mask.kind == "edge":
            draw = mask_edges_as_released if mask.leak else mask_edges
        else:
            walks = mask_paths_as_released if mask.leak else mask_paths
            draw = partial(walks, length=mask.length, start=mask.start)
        return draw(batch, mask.ratio, randomness=randomness, limit=mask.limit)

    def encode(self, batch: Graphs) -> Tensor:
        """Embeddings of all nodes on all edges, every layer: (T, C)."""
        return torch.cat(self.encoder.every_layer(batch, batch.edges, batch.weights), 1)

    def score_edges(self, batch: Graphs, pairs: Tensor) -> Tensor:
        """How likely each of (2, P) pairs is an edge, given the batch's edges: (P,) logits."""
        head = self.objectives["edge"].head
        assert isinstance(head, LinkHead)
        return head.score(self.encoder(batch), pairs)


def lost_degrees(graphs: Graphs, mask: Mask) -> Tensor:
    """(T,) how many drawn edges end in each node."""
    assert isinstance(mask, EdgeMask)
    return mask.degrees(graphs)
