"""Pretraining from a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from core.training.data import make_plan
from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from core.training.selection import BestWeights
from mmgraph.config import GraphMAE2Recipe, GraphMAERecipe, MaskGAERecipe, MGAERecipe, Recipe, SamplingConfig
from mmgraph.data.inductive import InductiveSet
from mmgraph.data.links import edges_digest, split_links
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.sources import load
from mmgraph.links import score_links
from mmgraph.models import load_model, new_model
from mmgraph.models.graphmae2 import GraphMAE2
from mmgraph.models.maskgae import MaskGAE
from mmgraph.models.mgae import MGAE
from mmgraph.report import write_report
from mmgraph.runs import ProbeConfig
from mmgraph.training_data import all_graphs, describe_data, training_data


def pretrain(
    recipe: Recipe,
    out: str | Path,
    resume: bool = False,
    header: str = "",
    data: NodeSet | GraphSet | InductiveSet | None = None,
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
    sampling = recipe.sampling if isinstance(recipe, GraphMAERecipe | GraphMAE2Recipe) else None

    def make(main: bool) -> Job:
        model = new_model(recipe.model)
        model.check(all_graphs(given), recipe.data)
        said = describe_data(given, recipe.data)
        if isinstance(recipe, MaskGAERecipe | MGAERecipe) and isinstance(given, NodeSet):
            return link_job(model, given, recipe, folder, said, main)
        samples = training_data(model, given, sampling, recipe.train.seed)
        job = Job(model, samples, masked_step(model), said)
        if isinstance(model, GraphMAE2):
            steps = make_plan(len(samples), recipe.train, 1).steps_per_epoch
            job = job._replace(before_step=model.teacher_follows(steps))
        return job

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    if outcome.wants_report(folder):
        config = ProbeConfig(recipe.probe_nodes, recipe.probe_graphs, sampling or SamplingConfig())
        write_report(folder, load_model(folder.path), given, config)
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
    said = {"data": {**said["data"], "edges_sha256": edges_digest(data.graph)}}
    best = BestWeights(folder.state, model, lambda: score_links(model, split.val).auc, "auc", main)

    def after_epoch(epoch: int) -> dict[str, float] | None:
        due = epoch % recipe.links.every == 0 or epoch == recipe.train.epochs
        return best.after_epoch(epoch) if due else None

    return Job(model, split, masked_step(model), said, after_epoch=after_epoch, finish=best.restore)
