"""n-way k-shot classification: episodes of few classes with few samples each."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.random import derive_seed
from core.saving import resolve
from core.training.job import Job, run_training
from core.training.run import RunFolder
from mm3d.config import FinetuneRecipe
from mm3d.data.clouds import PointClouds
from mm3d.data.samples import LabelledPoints
from mm3d.data.sources import join
from mm3d.data.splits import few_shot_episode
from mm3d.finetune import encoder_config_of, evaluate, load_encoder, load_split, new_model, supervised_step
from mm3d.pretrain import describe_data


def few_shot(
    recipe: FinetuneRecipe,
    pretrained: str | Path,
    out: str | Path,
    ways: int = 5,
    shots: int = 10,
    queries: int = 20,
    episodes: int = 10,
    scratch: bool = False,
    resume: bool = False,
) -> list[float]:
    """Fine-tune on ``ways`` x ``shots`` samples and score ``queries`` others of each class, ``episodes`` times.

    There is nothing to select an epoch on, so the last one is scored (official codes report the best test epoch).
    Each episode leaves a run folder ``episode-NN`` in ``out``, and ``result.json`` holds all accuracies. With ``resume``
    the episodes that are there already, of the same protocol, are not run again.

    Returns:
        Accuracy of every episode.

    Raises:
        UserError: fewer classes with ``shots + queries`` samples than ``ways``, or a recipe of another task.

    Source: Sharma and Kaul, "Self-Supervised Few-Shot Learning on Point Clouds"; protocol as in Point-BERT, Section 4.2.
    """
    if recipe.task != "classification":
        raise UserError(f"few-shot: episodes are classified, the recipe's task is {recipe.task}")
    source = resolve(pretrained)
    encoder = encoder_config_of(source, recipe)
    clouds = join([load_split(recipe, split) for split in ("train", "test")])
    found = []
    for number in range(episodes):
        seed = derive_seed(recipe.train.seed, number, "episode") % 2**32
        episode = few_shot_episode(clouds.labels, ways, shots, queries, seed)
        support, query = (
            _renumbered(clouds.subset(part), episode.classes) for part in (episode.support, episode.query)
        )

        def make(main: bool, support: PointClouds = support, drawn: np.ndarray = episode.classes) -> Job:
            model = new_model(recipe, encoder, support)
            if not scratch:
                load_encoder(model, source)
            said = {"episode": drawn.tolist(), **describe_data(support, recipe.data)}
            return Job(model, LabelledPoints(support, recipe.points), supervised_step(recipe), said)

        folder = RunFolder(Path(out) / f"episode-{number:02d}")
        protocol = {"ways": ways, "shots": shots, "queries": queries, "episode": number}
        config = {**dataclasses.asdict(recipe), "pretrained": str(source), "scratch": scratch, **protocol}
        outcome = run_training(folder, config, resume, "", recipe, make)
        found.append(evaluate(outcome.job.model, query, recipe, recipe.votes)["accuracy"])
    if outcome.main:
        said = {"ways": ways, "shots": shots, "queries": queries, "accuracy": found}
        RunFolder(out).write_json("result.json", said)
    return found


def _renumbered(clouds: PointClouds, classes: np.ndarray) -> PointClouds:
    """The same clouds with labels 0 .. ways - 1 in the order of the episode's classes."""
    labels = np.array([int(np.flatnonzero(classes == label)[0]) for label in clouds.labels])
    return dataclasses.replace(clouds, labels=labels, classes=tuple(clouds.classes[int(c)] for c in classes))
