"""GMAE: graph masked autoencoders with transformers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.dropout import dropout
from core.errors import UserError
from core.masked_model import MaskedModel, Objective
from core.masking import Mask, random_mask_packed
from core.random import Randomness
from core.saving import Pretrained
from core.transformer import Transformer
from mmgraph.config import GMAEConfig
from mmgraph.graph import Graphs, check_width
from mmgraph.layers.graph_transformer import DegreeEmbedding, GraphTransformer
from mmgraph.structure import StructuredGraphs, with_structure


class Seen(NamedTuple):
    """Visible nodes (V, C) after the encoder, and what the decoder shares: degrees (T, C), biases by distance (R, H)."""

    tokens: Tensor
    degrees: Tensor
    table: Tensor


class GMAEEncoder(nn.Module):
    """A deep transformer over visible nodes alone; hidden ones are taken out: (graphs, mask) -> :class:`Seen`."""

    def __init__(self, config: GMAEConfig) -> None:
        super().__init__()
        self.config = config
        self.input = nn.Linear(config.width, config.dim)
        self.degrees = DegreeEmbedding(config.max_degree, config.dim)
        self.distances = nn.Embedding(config.max_distance + 2, config.heads)
        self.layers = new_transformer(config, config.depth)

    def forward(self, graphs: StructuredGraphs, mask: Mask | None = None) -> Seen:
        chosen = torch.arange(len(graphs.x), device=graphs.x.device) if mask is None else mask.visible_index
        degrees = self.degrees(graphs.structure)
        tokens = self.input(graphs.x[chosen] + self.config.offset) + degrees[chosen]
        tokens = dropout(tokens, self.config.input_dropout, self.training)
        table = self.distances.weight
        return Seen(self.layers(tokens, chosen, graphs.offsets, graphs.structure, table), degrees, table)


class GMAEDecoder(nn.Module):
    """A shallow transformer over all nodes, a token in place of hidden ones: (V, C) -> (M, F), the hidden nodes' features."""

    def __init__(self, config: GMAEConfig) -> None:
        super().__init__()
        self.bridge = nn.Linear(config.dim, config.dim)
        self.token = nn.Parameter(torch.zeros(config.dim))
        self.layers = new_transformer(config, config.decoder_depth)
        self.output = nn.Linear(config.dim, config.width)

    def forward(self, seen: Seen, graphs: StructuredGraphs, mask: Mask) -> Tensor:
        tokens = mask.merge(self.bridge(seen.tokens), self.token) + seen.degrees
        everyone = torch.arange(len(tokens), device=tokens.device)
        decoded = self.layers(tokens, everyone, graphs.offsets, graphs.structure, seen.table)
        return self.output(decoded[mask.hidden_index])


class GMAE(Pretrained, MaskedModel):
    """Take most nodes out of a graph, encode the rest by a deep transformer, and reconstruct the features of those hidden.

    Args:
        config: sizes and mask; the defaults are the published model for Cora.

    Shapes: a batch is a :class:`~mmgraph.graph.Graphs` of T nodes in graphs of any sizes; padding is made inside and
    changes no result. :class:`~mmgraph.structure.StructuredGraphs` bring degrees and shortest paths with them, for others
    they are searched at every call. ``model(graphs, mask)`` gives a :class:`~core.masked_model.MaskedOutput` with part
    ``mse`` or ``bce``; ``encode`` gives (T, C).

    Every graph hides :func:`~core.masking.count_hidden` of its nodes. The official code draws one set of places for a
    whole padded batch instead, so that a small graph beside a large one hides all or nothing, and graphs without a
    visible node are dropped; that depends on the shape of a batch and is not repeated here. Nor is the 1 that it adds to
    all features, at the input and in the target, to tell nodes from padding: the network can express the same without it
    and learns far sooner. ``offset`` brings it back.

    Source: Zhang et al., "Graph Masked Autoencoders with Transformers", arXiv 2202.08391; model.py and collator.py of its
    official code, for nodes and for graphs.
    """

    Config = GMAEConfig
    encoder: GMAEEncoder

    def __init__(self, config: GMAEConfig) -> None:
        loss = partial(mean_loss, F.mse_loss if config.loss == "mse" else F.binary_cross_entropy_with_logits)
        objective = Objective(GMAEDecoder(config), partial(target_features, config=config), loss)
        super().__init__(GMAEEncoder(config), {config.loss: objective})
        self.config = config
        self.apply(self._initialise)
        if config.loss == "bce":  # officially two rows of a table for 0 and 1 of each label, whose difference this is
            nn.init.normal_(self.encoder.input.weight, std=0.02 * math.sqrt(2))

    def check(self, graphs: Graphs, source: str) -> None:
        """See that graphs have the features this model was made for.

        Raises:
            UserError: another width, or features outside [0, 1] where the loss is a cross-entropy.
        """
        check_width(graphs, self.config.width, source)
        if self.config.loss == "bce" and not bool(((graphs.x >= 0) & (graphs.x <= 1)).all()):
            raise UserError(f"{source}: features outside [0, 1]; model.loss bce takes those within, mse takes all")

    def tokenize(self, batch: Graphs) -> StructuredGraphs:
        """The batch with degrees and shortest paths."""
        return with_structure(batch)

    def draw_mask(self, batch: Graphs, randomness: Randomness = None) -> Mask:
        """Which nodes are hidden."""
        sizes = batch.offsets.diff().tolist()
        if max(sizes) < 2:  # isolated nodes alone: nothing is hidden, and the loss is zero
            return Mask(torch.zeros(sum(sizes), dtype=torch.bool), batch.offsets.cpu())
        return random_mask_packed(sizes, self.config.mask_ratio, randomness)

    def encode(self, batch: Graphs) -> Tensor:
        """Embeddings of all nodes, nothing hidden: (T, C)."""
        return self.encoder(self.tokenize(batch)).tokens

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02 / math.sqrt(self.config.depth))
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)


def mean_loss(loss: Callable[..., Tensor], prediction: Tensor, target: Tensor) -> Tensor:
    """The mean of a loss over all features, 0 where no node is hidden."""
    return loss(prediction, target, reduction="sum") / max(target.numel(), 1)


def target_features(graphs: Graphs, mask: Mask, config: GMAEConfig) -> Tensor:
    """What is reconstructed, features of the hidden nodes: (M, F)."""
    features = graphs.x[mask.hidden_index]
    return features + config.offset if config.loss == "mse" else features


def new_transformer(config: GMAEConfig, depth: int) -> GraphTransformer:
    """Blocks of encoder or decoder."""
    blocks = Transformer(
        config.dim,
        depth,
        config.heads,
        config.mlp_ratio,
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
    )
    return GraphTransformer(blocks, cut=config.unreachable == "cut")
