"""AttrMasking: hide categories of nodes, and of the edges that touch them, and predict them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.masked_model import MaskedModel, Objective
from core.random import Randomness
from core.saving import Pretrained
from mmgraph.attribute_masks import AttributeMask, mask_attributes
from mmgraph.categories import check_categories
from mmgraph.config import AttrMaskingConfig
from mmgraph.graph import Graphs
from mmgraph.layers.categories import CategoryEmbedding, count_edges
from mmgraph.layers.edge_gin import EdgeGIN


class AttributeEncoder(nn.Module):
    """Embeddings of nodes from categories of nodes and edges, hidden ones as tokens: (graphs, mask) -> (T, C).

    A token is one more category of the first column; the other columns of what is hidden get category 0. Edges have two:
    first the self-loop that every node gets, then the mask token.

    Source: GNN in chem/model.py of pretrain-gnns.
    """

    def __init__(self, config: AttrMaskingConfig) -> None:
        super().__init__()
        self.node_token = config.node_vocabulary[0]
        self.node_columns = CategoryEmbedding(_with_tokens(config.node_vocabulary, 1), config.dim)
        self.edge_sizes = _with_tokens(config.edge_vocabulary, 2)
        self.stack = EdgeGIN(config.dim, config.depth, self.edge_sizes, config.dropout)

    def forward(self, graphs: Graphs, mask: AttributeMask | None = None) -> Tensor:
        x, edges = graphs.x, graphs.edge_attr
        if mask is not None:
            x = mask.fill(x, _token(x, self.node_token))
        counts = None
        if self.edge_sizes:
            assert edges is not None
            loop = self.edge_sizes[0] - 2
            if mask is not None and len(mask.edges):
                edges = edges.index_copy(0, mask.edges, _token(edges, loop + 1).expand(len(mask.edges), -1))
            counts = count_edges(graphs, edges, self.edge_sizes, loop)
        return self.stack(self.node_columns(x), graphs.edges, counts)


def _with_tokens(vocabulary: Sequence[int], tokens: int) -> tuple[int, ...]:
    return (vocabulary[0] + tokens, *vocabulary[1:]) if vocabulary else ()


def _token(like: Tensor, category: int) -> Tensor:
    return torch.tensor([category] + [0] * (like.shape[1] - 1), device=like.device)


class NodeHead(nn.Module):
    """Logits of every predicted column of the hidden nodes, one column after the other: (T, C) -> (M, K)."""

    def __init__(self, dim: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, sum(sizes))

    def forward(self, latent: Tensor, graphs: Graphs, mask: AttributeMask) -> Tensor:
        return self.linear(latent[mask.hidden_index])


class EdgeHead(nn.Module):
    """Logits of the scored edges from the sum of the embeddings of their two ends: (T, C) -> (S, K)."""

    def __init__(self, dim: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, sum(sizes))

    def forward(self, latent: Tensor, graphs: Graphs, mask: AttributeMask) -> Tensor:
        source, target = graphs.edge_index[:, mask.scored]
        return self.linear(latent[source] + latent[target])


class AttrMasking(Pretrained, MaskedModel):
    """Replace the categories of some nodes by a token and predict them; optionally those of their edges as well.

    Args:
        config: vocabularies, sizes and mask; the defaults are the published model for molecules (masked atoms only).

    Shapes: a batch is a :class:`~mmgraph.graph.Graphs` with int64 ``x`` (T, A) and ``edge_attr`` (E, B).
    ``model(graphs, mask)`` gives a :class:`~core.masked_model.MaskedOutput` with part ``node`` and, with ``mask_edges``,
    ``edge``, both float64; ``encode`` gives (T, C).

    Source: Hu et al., "Strategies for Pre-training Graph Neural Networks", ICLR 2020, Section 3.1.2 (attribute masking);
    chem/pretrain_masking.py of its official code.
    """

    Config = AttrMaskingConfig
    encoder: AttributeEncoder

    def __init__(self, config: AttrMaskingConfig) -> None:
        columns, sizes = config.predict_nodes, [config.node_vocabulary[c] for c in config.predict_nodes]
        loss = partial(category_loss, sizes=sizes)
        objectives = {"node": Objective(NodeHead(config.dim, sizes), partial(hidden_nodes, columns=columns), loss)}
        if config.mask_edges:
            columns, sizes = config.predict_edges, [config.edge_vocabulary[c] for c in config.predict_edges]
            loss = partial(category_loss, sizes=sizes)
            objectives["edge"] = Objective(EdgeHead(config.dim, sizes), partial(hidden_edges, columns=columns), loss)
        super().__init__(AttributeEncoder(config), objectives)
        self.config = config

    def check(self, graphs: Graphs, source: str) -> None:
        """See that all categories of graphs are in the model's vocabularies.

        Raises:
            UserError: features in place of categories, other columns, or a category outside the vocabulary, with the
                numbers that would fit.
        """
        check_categories(graphs, self.config.node_vocabulary, self.config.edge_vocabulary, source)

    def draw_mask(self, batch: Graphs, randomness: Randomness = None) -> AttributeMask:
        """Which nodes and edges are hidden; every graph's nodes are drawn with its own generator where there is one each."""
        return mask_attributes(batch, self.config.mask_ratio, self.config.mask_edges, randomness)

    def encode(self, batch: Graphs) -> Tensor:
        """Embeddings of all nodes, nothing hidden: (T, C)."""
        return self.encoder(batch)


def category_loss(logits: Tensor, categories: Tensor, sizes: Sequence[int]) -> Tensor:
    """Cross-entropy in float64, summed over columns: (M, K) logits, (M, P) categories -> scalar. Nothing to score is 0."""
    parts = zip(logits.double().split(list(sizes), 1), categories.unbind(1), strict=True)
    if len(categories) == 0:
        return logits.double().sum()
    return torch.stack([F.cross_entropy(of, ids) for of, ids in parts]).sum()


def hidden_nodes(graphs: Graphs, mask: AttributeMask, columns: Sequence[int]) -> Tensor:
    """Predicted columns of the hidden nodes: (M, P)."""
    return graphs.x[mask.hidden_index][:, list(columns)]


def hidden_edges(graphs: Graphs, mask: AttributeMask, columns: Sequence[int]) -> Tensor:
    """Predicted columns of the scored edges: (S, P)."""
    assert graphs.edge_attr is not None
    return graphs.edge_attr[mask.scored][:, list(columns)]
