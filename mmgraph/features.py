"""Frozen embeddings of a data set, and how well probes read them, beside controls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from core.evaluation.metrics import MeanStd, mean_std
from core.random import derive_seed
from mmgraph.config import GraphProbeConfig, NodeProbeConfig, SamplingConfig
from mmgraph.data.inductive import InductiveSet, LabelledGraphs
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.graph import Graphs, join
from mmgraph.inference import embed_in_blocks
from mmgraph.probes import Batches, pool, probe_graphs, probe_nodes, probe_parts

BATCH = 256  # graphs
PROBE_GRAPHS = 2  # graphs of an inductive set a step of its probe, as GraphMAE's official code has it


@torch.no_grad()
def embed_nodes(model: Any, data: NodeSet, sampling: SamplingConfig | None = None) -> Tensor:
    """(T, C) embeddings, in evaluation mode."""
    return embed(model, data.graph, sampling)


@torch.no_grad()
def embed(model: Any, graphs: Graphs, sampling: SamplingConfig | None = None) -> Tensor:
    """(T, C) embeddings, in evaluation mode; layer by layer in blocks of nodes where graphs are sampled to train on."""
    if sampling is not None and sampling.roots:
        return embed_in_blocks(model, graphs)
    return model.eval().encode(graphs).float().cpu()


@torch.no_grad()
def embed_parts(
    model: Any | None, data: InductiveSet, sampling: SamplingConfig | None = None
) -> tuple[Batches, Batches, Batches]:
    """Embeddings and labels of the graphs of each part, in batches of two graphs; features where no model is given."""
    train, val, test = (list(_embedded(model, part, sampling)) for part in data.parts)
    return train, val, test


def _embedded(
    model: Any | None, part: LabelledGraphs, sampling: SamplingConfig | None
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(part.graphs), PROBE_GRAPHS):
        graphs = join(part.graphs[start : start + PROBE_GRAPHS])
        nodes = graphs.x if model is None else embed(model, graphs, sampling)
        yield nodes, torch.cat(part.labels[start : start + PROBE_GRAPHS])


@torch.no_grad()
def embed_graphs(model: Any | None, data: GraphSet, config: GraphProbeConfig) -> Tensor:
    """(B, C) pooled embeddings, in evaluation mode; pooled features where no model is given."""
    found = []
    for start in range(0, len(data), BATCH):
        graphs = join(data.graphs[start : start + BATCH])
        nodes = graphs.x if model is None else model.eval().encode(graphs)
        found.append(pool(nodes, graphs, config).float().cpu())
    return torch.cat(found)


def probe_set(
    model: Any | None,
    data: NodeSet | GraphSet | InductiveSet,
    nodes: NodeProbeConfig,
    graphs: GraphProbeConfig,
    seed: int,
    sampling: SamplingConfig | None = None,
) -> float:
    """Accuracy of the protocol that fits the data; of the raw features where no model is given."""
    if isinstance(data, NodeSet):
        embeddings = data.graph.x if model is None else embed_nodes(model, data, sampling)
        return probe_nodes(embeddings, data, nodes, seed).accuracy
    if isinstance(data, InductiveSet):
        return probe_parts(embed_parts(model, data, sampling), data.classes, nodes, seed).accuracy
    return probe_graphs(embed_graphs(model, data, graphs).numpy(), data)


def untrained(model: Any, seed: int) -> Any:
    """The same network with fresh weights."""
    torch.manual_seed(derive_seed(seed, "untrained"))
    return type(model)(model.config).eval()


def probe_rows(
    models: list[Any],
    data: NodeSet | GraphSet | InductiveSet,
    nodes: NodeProbeConfig,
    graphs: GraphProbeConfig,
    controls: bool,
    sampling: SamplingConfig | None = None,
) -> list[tuple[str, MeanStd, int]]:
    """(embeddings, accuracy over pretraining seeds, number of seeds) of pretrained models and of controls."""
    seeds = range(len(models))
    pretrained = [probe_set(m, data, nodes, graphs, s, sampling) for s, m in enumerate(models)]
    rows = [("pretrained", mean_std(pretrained), len(models))]
    if controls:
        fresh = [probe_set(untrained(models[0], s), data, nodes, graphs, s, sampling) for s in seeds]
        rows.append(("untrained", mean_std(fresh), len(models)))
        raw = [probe_set(None, data, nodes, graphs, s) for s in seeds]
        rows.append(("raw features", mean_std(raw), len(models)))
    return rows
