"""Frozen embeddings of a data set, and how well probes read them, beside controls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.evaluation.metrics import MeanStd, mean_std
from core.random import derive_seed, generator
from mmgraph.categories import count_categories, one_hot
from mmgraph.config import GraphProbeConfig, NodeProbeConfig
from mmgraph.data.ego import EgoSet
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.graph import join
from mmgraph.models.gmae import GMAE
from mmgraph.probes import pool, probe_graphs, probe_nodes

BATCH = 256  # graphs


@torch.no_grad()
def embed_nodes(model: Any, data: NodeSet) -> Tensor:
    """(T, C) embeddings, in evaluation mode."""
    if isinstance(model, GMAE):
        return embed_roots(model, EgoSet(data, model.config.neighbours))
    return model.eval().encode(data.graph).float().cpu()


@torch.no_grad()
def embed_roots(model: GMAE, data: EgoSet) -> Tensor:
    """(T, C) embeddings of all nodes, each the root of several ego-graphs over which it is averaged; always the same draws."""
    device = next(model.eval().parameters()).device
    found = []
    for start in range(0, len(data), BATCH):
        nodes = range(start, min(start + BATCH, len(data)))
        total = torch.zeros(len(nodes), model.config.dim)
        for view in range(model.config.views):
            egos = data.collate([data.sample(node, generator(view, node, "embed")) for node in nodes]).to(device)
            total += model.encode(egos)[egos.offsets[:-1]].float().cpu()
        found.append(total / model.config.views)
    return torch.cat(found)


@torch.no_grad()
def embed_graphs(model: Any | None, data: GraphSet, config: GraphProbeConfig) -> Tensor:
    """(B, C) pooled embeddings, in evaluation mode; pooled features where no model is given."""
    found = []
    sizes = None if model is not None else node_categories(data)
    for start in range(0, len(data), BATCH):
        graphs = join(data.graphs[start : start + BATCH])
        nodes = plain_features(graphs.x, sizes) if model is None else model.eval().encode(graphs)
        found.append(pool(nodes, graphs, config).float().cpu())
    return torch.cat(found)


def node_categories(data: NodeSet | GraphSet) -> list[int] | None:
    """Categories of every column of the nodes in all graphs; None where nodes have features."""
    graphs = (data.graph,) if isinstance(data, NodeSet) else data.graphs
    if graphs[0].x.is_floating_point():
        return None
    return torch.tensor([count_categories(graph.x) for graph in graphs]).amax(0).tolist()


def plain_features(x: Tensor, sizes: list[int] | None) -> Tensor:
    """What a probe reads without a model: features as they are, categories as one-hot vectors."""
    return x if sizes is None else one_hot(x, sizes)


def probe_set(
    model: Any | None, data: NodeSet | GraphSet, nodes: NodeProbeConfig, graphs: GraphProbeConfig, seed: int
) -> float:
    """Accuracy of the protocol that fits the data; of the raw features where no model is given."""
    if isinstance(data, NodeSet):
        if model is None:
            embeddings = plain_features(data.graph.x, node_categories(data))
        else:
            embeddings = embed_nodes(model, data)
        return probe_nodes(embeddings, data, nodes, seed).accuracy
    return probe_graphs(embed_graphs(model, data, graphs).numpy(), data)


def untrained(model: Any, seed: int) -> Any:
    """The same network with fresh weights."""
    torch.manual_seed(derive_seed(seed, "untrained"))
    return type(model)(model.config).eval()


def probe_rows(
    models: list[Any], data: NodeSet | GraphSet, nodes: NodeProbeConfig, graphs: GraphProbeConfig, controls: bool
) -> list[tuple[str, MeanStd, int]]:
    """(embeddings, accuracy over pretraining seeds, number of seeds) of pretrained models and of controls."""
    seeds = range(len(models))
    rows = [("pretrained", mean_std([probe_set(m, data, nodes, graphs, s) for s, m in enumerate(models)]), len(models))]
    if controls:
        fresh = [probe_set(untrained(models[0], s), data, nodes, graphs, s) for s in seeds]
        rows.append(("untrained", mean_std(fresh), len(models)))
        raw = [probe_set(None, data, nodes, graphs, s) for s in seeds]
        rows.append(("raw features", mean_std(raw), len(models)))
    return rows
