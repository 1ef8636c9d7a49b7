"""Pretraining from a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.training.data import TrainingData
from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mmgraph.config import GraphMAERecipe, SamplingConfig
from mmgraph.data.inductive import PARTS, InductiveSet
from mmgraph.data.sampling import SampledGraph
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.sources import load
from mmgraph.graph import Graphs
from mmgraph.models import new_model


def pretrain(recipe: GraphMAERecipe, out: str | Path, resume: bool = False, header: str = "") -> Outcome:
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
    samples = training_data(data, getattr(recipe, "sampling", None), recipe.train.seed)

    def make(main: bool) -> Job:
        model = new_model(recipe.model)
        model.check(first_graph(data), recipe.data)
        return Job(model, samples, masked_step(model), describe_data(data, recipe.data))

    return run_training(RunFolder(out), dataclasses.asdict(recipe), resume, header, recipe, make)


def training_data(data: NodeSet | GraphSet | InductiveSet, sampling: SamplingConfig | None, seed: int) -> TrainingData:
    """The data itself, or subgraphs of it where the recipe has a section ``sampling`` that asks for them.

    Raises:
        UserError: subgraphs are asked for of many graphs.
    """
    if sampling is None or not sampling.roots:
        return data
    if isinstance(data, GraphSet) or (isinstance(data, InductiveSet) and len(data) > 1):
        raise UserError(f"sampling.roots {sampling.roots}: {data.name} is many graphs; train.batch_size deals them")
    return SampledGraph(first_graph(data), sampling, seed)


def first_graph(data: NodeSet | GraphSet | InductiveSet) -> Graphs:
    """The graph, or the first of many: all have the same kind of features."""
    if isinstance(data, InductiveSet):
        return data.train.graphs[0]
    return data.graph if isinstance(data, NodeSet) else data.graphs[0]


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
