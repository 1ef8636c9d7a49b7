"""Pretraining from a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mmgraph.config import AttrMaskingRecipe, GraphMAERecipe
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.sources import load
from mmgraph.graph import Graphs, join
from mmgraph.models import new_model


def pretrain(
    recipe: AttrMaskingRecipe | GraphMAERecipe, out: str | Path, resume: bool = False, header: str = ""
) -> Outcome:
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
        model.check(all_graphs(data), recipe.data)
        return Job(model, data, masked_step(model), describe_data(data, recipe.data))

    return run_training(RunFolder(out), dataclasses.asdict(recipe), resume, header, recipe, make)


def all_graphs(data: NodeSet | GraphSet) -> Graphs:
    """Everything as one batch: a category that the model does not know can be in any graph."""
    return data.graph if isinstance(data, NodeSet) else join(data.graphs)


def describe_data(data: NodeSet | GraphSet, source: str) -> dict[str, Any]:
    """What a run folder says of its data."""
    if isinstance(data, NodeSet):
        said = {"nodes": len(data.graph.x), "edges": data.graph.edge_index.shape[1]}
    else:
        said = {"graphs": len(data), "nodes": sum(len(g.x) for g in data.graphs)}
    return {"data": {"source": source, **said}}
