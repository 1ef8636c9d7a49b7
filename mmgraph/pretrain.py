"""Pretraining from a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mmgraph.config import GraphMAERecipe
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.sources import load
from mmgraph.graph import Graphs
from mmgraph.models import load_model, new_model
from mmgraph.report import write_report


def pretrain(
    recipe: GraphMAERecipe,
    out: str | Path,
    resume: bool = False,
    header: str = "",
    data: NodeSet | GraphSet | None = None,
) -> Outcome:
    """Train a system by its recipe and leave a run folder with ``report.html``.

    Args:
        recipe: data, model, optimiser, length, devices.
        out: the run folder.
        resume: go on with the run in ``out``.
        header: first line of its config.yaml (the paper).
        data: what to train on in place of what ``recipe.data`` names, which then only says what it is.

    Raises:
        UserError: bad data or settings, or a folder that holds another run.
    """
    folder = RunFolder(out)
    given = load(recipe.data) if data is None else data

    def make(main: bool) -> Job:
        model = new_model(recipe.model)
        model.check(first_graph(given), recipe.data)
        return Job(model, given, masked_step(model), describe_data(given, recipe.data))

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    finished_before = outcome.result.steps_now == 0 and (folder.path / "report.html").exists()
    if outcome.main and not finished_before:
        write_report(folder, load_model(folder.path), given, recipe.probe_graphs)
    return outcome


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
