"""Pretraining from a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from core.training.data import TrainingData, make_plan
from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from core.training.selection import BestWeights
from mmgraph.config import MaskGAERecipe, MGAERecipe, Recipe
from mmgraph.data.ego import EgoSet
from mmgraph.data.links import split_links
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.sources import load
from mmgraph.data.structured import StructuredSet
from mmgraph.graph import Graphs, join
from mmgraph.links import score_links
from mmgraph.models import load_model, new_model
from mmgraph.models.gmae import GMAE
from mmgraph.models.graphmae2 import GraphMAE2
from mmgraph.models.maskgae import MaskGAE
from mmgraph.models.mgae import MGAE
from mmgraph.report import write_report


def pretrain(
    recipe: Recipe,
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
        model.check(all_graphs(given), recipe.data)
        said = describe_data(given, recipe.data)
        if isinstance(recipe, MaskGAERecipe | MGAERecipe) and isinstance(given, NodeSet):
            return link_job(model, given, recipe, folder, said, main)
        samples = training_data(model, given)
        job = Job(model, samples, masked_step(model), said)
        if isinstance(model, GraphMAE2):
            steps = make_plan(len(samples), recipe.train, 1).steps_per_epoch
            job = job._replace(before_step=model.teacher_follows(steps))
        return job

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    finished_before = outcome.result.steps_now == 0 and (folder.path / "report.html").exists()
    if outcome.main and not finished_before:
        write_report(folder, load_model(folder.path), given, recipe.probe_graphs)
    return outcome


def link_job(
    model: MaskGAE | MGAE,
    data: NodeSet,
    recipe: MaskGAERecipe | MGAERecipe,
    folder: RunFolder,
    said: dict[str, Any],
    main: bool,
) -> Job:
    """Training on a part of the edges; the weights that predict those of the validation best are kept."""
    split = split_links(data, recipe.links, recipe.train.seed)
    best = BestWeights(folder.state, model, lambda: score_links(model, split.val).auc, "auc", main)

    def after_epoch(epoch: int) -> dict[str, float] | None:
        due = epoch % recipe.links.every == 0 or epoch == recipe.train.epochs
        return best.after_epoch(epoch) if due else None

    return Job(model, split, masked_step(model), said, after_epoch=after_epoch, finish=best.restore)


def training_data(model: Any, data: NodeSet | GraphSet) -> TrainingData:
    """What a model trains on: the set itself, or for a transformer over all pairs of nodes small graphs with their paths."""
    if not isinstance(model, GMAE):
        return data
    if isinstance(data, NodeSet):
        return EgoSet(data, model.config.neighbours)
    return StructuredSet(data, model.config.largest)


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
