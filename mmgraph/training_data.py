"""What a model is trained on: a set itself, or small graphs that are drawn from it."""

from __future__ import annotations

from typing import Any

from core.errors import UserError
from core.training.data import TrainingData
from mmgraph.config import SamplingConfig
from mmgraph.data.ego import EgoSet
from mmgraph.data.inductive import PARTS, InductiveSet
from mmgraph.data.sampling import SampledGraph
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.structured import StructuredSet
from mmgraph.graph import Graphs, join
from mmgraph.models.gmae import GMAE


def training_data(
    model: Any, data: NodeSet | GraphSet | InductiveSet, sampling: SamplingConfig | None, seed: int
) -> TrainingData:
    """The set itself; subgraphs where the recipe samples; graphs with their shortest paths for a graph transformer.

    Raises:
        UserError: subgraphs are asked for of many graphs, or the model does not take such data.
    """
    if not isinstance(model, GMAE):
        return sampled(data, sampling, seed)
    if isinstance(data, InductiveSet):
        raise UserError(
            f"{data.name}: a GMAE is trained on one graph or on many small ones, not on graphs in three parts"
        )
    return (
        EgoSet(data.graph, model.config.neighbours)
        if isinstance(data, NodeSet)
        else StructuredSet(data, model.config.largest)
    )


def sampled(data: NodeSet | GraphSet | InductiveSet, sampling: SamplingConfig | None, seed: int) -> TrainingData:
    """The data itself, or subgraphs of it where ``sampling`` asks for them.

    Raises:
        UserError: subgraphs are asked for of many graphs.
    """
    if sampling is None or not sampling.roots:
        return data
    if isinstance(data, GraphSet) or (isinstance(data, InductiveSet) and len(data) > 1):
        raise UserError(f"sampling.roots {sampling.roots}: {data.name} is many graphs; train.batch_size deals them")
    return SampledGraph(data.graph if isinstance(data, NodeSet) else data.train.graphs[0], sampling, seed)


def all_graphs(data: NodeSet | GraphSet | InductiveSet) -> Graphs:
    """All that is trained on as one batch: a category that the model does not know can be in any graph."""
    if isinstance(data, InductiveSet):
        return join(data.train.graphs)
    return data.graph if isinstance(data, NodeSet) else join(data.graphs)


def describe_data(data: NodeSet | GraphSet | InductiveSet, source: str) -> dict[str, Any]:
    """What a run folder says of its data."""
    if isinstance(data, InductiveSet):
        sizes = {name: [len(g.x) for g in part.graphs] for name, part in zip(PARTS, data.parts, strict=True)}
        return {"data": {"source": source, "nodes": sizes}}
    if isinstance(data, NodeSet):
        said = {"nodes": len(data.graph.x), "edges": data.graph.edge_index.shape[1]}
    else:
        said = {"graphs": len(data), "nodes": sum(len(g.x) for g in data.graphs)}
    return {"data": {"source": source, **said}}
