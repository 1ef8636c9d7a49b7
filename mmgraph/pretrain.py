"""Pretraining from a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from core.training.data import TrainingData
from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mmgraph.config import GMAERecipe, GraphMAERecipe
from mmgraph.data.ego import EgoSet
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.sources import load
from mmgraph.data.structured import StructuredSet
from mmgraph.graph import Graphs
from mmgraph.models import new_model
from mmgraph.models.gmae import GMAE


def pretrain(recipe: GraphMAERecipe | GMAERecipe, out: str | Path, resume: bool = False, header: str = "") -> Outcome:
    """Train a system by its recipe and leave a run folder.

    Args:
        recipe: data, model, optimiser, length, devices.
        out: the run folder.
        resume: go on with the run in ``out``.
        header: first line of its config.yaml (the paper).

    Raises:
        UserError: bad data or settings, or a folder that holds another run.
    """
    data = load(recipe.data)

    def make(main: bool) -> Job:
        model = new_model(recipe.model)
        model.check(first_graph(data), recipe.data)
        return Job(model, training_data(model, data), masked_step(model), describe_data(data, recipe.data))

    return run_training(RunFolder(out), dataclasses.asdict(recipe), resume, header, recipe, make)


def training_data(model: Any, data: NodeSet | GraphSet) -> TrainingData:
    """What a model trains on: the set itself, or for a transformer over all pairs of nodes small graphs with their paths."""
    if not isinstance(model, GMAE):
        return data
    if isinstance(data, NodeSet):
        return EgoSet(data, model.config.neighbours)
    return StructuredSet(data, model.config.largest)


def first_graph(data: NodeSet | GraphSet) -> Graphs:
    """The graph, or the first of many: all have the same kind of features."""
    return data.graph if isinstance(data, NodeSet) else data.graphs[0]


def describe_data(data: NodeSet | GraphSet, source: str) -> dict[str, Any]:
    """What a run folder says of its data."""
    if isinstance(data, NodeSet):
        said = {"nodes": len(data.graph.x), "edges": data.graph.edge_index.shape[1]}
    else:
        said = {"graphs": len(data), "nodes": sum(len(g.x) for g in data.graphs)}
    return {"data": {"source": source, **said}}
