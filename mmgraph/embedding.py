"""Frozen embeddings of data sets, and what stands in their place where there is no model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from core.random import generator
from mmgraph.categories import count_categories, one_hot
from mmgraph.config import GraphProbeConfig, SamplingConfig
from mmgraph.data.ego import EgoSet
from mmgraph.data.inductive import InductivePart, InductiveSet
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.graph import Graphs, join
from mmgraph.inference import embed_in_blocks
from mmgraph.layers.pool import pool_nodes
from mmgraph.models.classifier import GraphClassifier
from mmgraph.models.gmae import GMAE
from mmgraph.probes import Batches

BATCH = 256  # graphs
PROBE_GRAPHS = 2  # graphs of an inductive set a step of its probe, as GraphMAE's official code has it


@torch.no_grad()
def embed_nodes(model: Any, data: NodeSet, sampling: SamplingConfig | None = None) -> Tensor:
    """(T, C) embeddings of the nodes of one graph, in evaluation mode, on the CPU."""
    return embed(model, data.graph, sampling)


@torch.no_grad()
def embed(model: Any, graph: Graphs, sampling: SamplingConfig | None = None) -> Tensor:
    """(T, C) embeddings of nodes, in evaluation mode, on the CPU.

    Layer by layer in blocks of nodes where graphs are sampled to train on; from ego-graphs by a model that takes no more.
    """
    reader = model.encoder if isinstance(model, GraphClassifier) else model
    if isinstance(reader, GMAE):
        return embed_roots(reader, EgoSet(graph, reader.config.neighbours))
    if sampling is not None and sampling.roots:
        return embed_in_blocks(model, graph)
    return model.eval().encode(graph.to(device_of(model))).float().cpu()


@torch.no_grad()
def embed_roots(model: GMAE, data: EgoSet) -> Tensor:
    """(T, C) embeddings of all nodes, each the root of several ego-graphs over which it is averaged; always the same draws."""
    model.eval()
    found = []
    for start in range(0, len(data), BATCH):
        nodes = range(start, min(start + BATCH, len(data)))
        total = torch.zeros(len(nodes), model.config.dim)
        for view in range(model.config.views):
            egos = data.collate([data.sample(node, generator(view, node, "embed")) for node in nodes])
            total += model.encode(egos.to(device_of(model)))[egos.offsets[:-1]].float().cpu()
        found.append(total / model.config.views)
    return torch.cat(found)


@torch.no_grad()
def embed_graphs(model: Any | None, data: GraphSet, config: GraphProbeConfig) -> Tensor:
    """(B, C) pooled embeddings, in evaluation mode; pooled features where no model is given."""
    found = []
    sizes = None if model is not None else node_categories(data)
    for start in range(0, len(data), BATCH):
        graphs = join(data.graphs[start : start + BATCH])
        if model is None:
            nodes = plain_features(graphs.x, sizes)
        else:
            nodes = model.eval().encode(graphs.to(device_of(model))).cpu()
        found.append(pool_nodes(nodes, graphs, config.pool).float())
    return torch.cat(found)


@torch.no_grad()
def embed_parts(
    model: Any | None, data: InductiveSet, sampling: SamplingConfig | None = None
) -> tuple[Batches, Batches, Batches]:
    """Embeddings and labels of the graphs of each part, in batches of two graphs; features where no model is given."""
    train, val, test = (list(_embedded(model, part, sampling)) for part in data.parts)
    return train, val, test


def _embedded(
    model: Any | None, part: InductivePart, sampling: SamplingConfig | None
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(part.graphs), PROBE_GRAPHS):
        graphs = join(part.graphs[start : start + PROBE_GRAPHS])
        nodes = plain_features(graphs.x, None) if model is None else embed(model, graphs, sampling)
        yield nodes, torch.cat(part.labels[start : start + PROBE_GRAPHS])


def raw_nodes(data: NodeSet) -> Tensor:
    """(T, F) what a probe of the nodes reads without a model."""
    return plain_features(data.graph.x, node_categories(data))


def node_categories(data: NodeSet | GraphSet) -> list[int] | None:
    """Categories of every column of the nodes in all graphs; None where nodes have features."""
    graphs = (data.graph,) if isinstance(data, NodeSet) else data.graphs
    if graphs[0].x.is_floating_point():
        return None
    return torch.tensor([count_categories(graph.x) for graph in graphs]).amax(0).tolist()


def plain_features(x: Tensor, sizes: list[int] | None) -> Tensor:
    """What a probe reads without a model: features as they are, categories as one-hot vectors."""
    return x.float() if sizes is None else one_hot(x, sizes)


def device_of(model: Any) -> torch.device:
    """Where a model's weights are."""
    return next(model.parameters()).device
