"""Frozen features of clouds, and how well probes read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.config import from_dict
from core.devices import move_to
from core.errors import UserError
from core.evaluation.metrics import MeanStd, mean_std
from core.evaluation.probes import ProbeData, ProbeResult, probe
from core.evaluation.untrained import untrained
from core.saving import resolve
from core.training.run import RunFolder
from mm3d.config import PointsConfig
from mm3d.data.clouds import PointClouds
from mm3d.data.samples import evaluation_batch
from mm3d.data.sources import load
from mm3d.data.usable import usable
from mm3d.descriptor import descriptor_forest, descriptors
from mm3d.models import load_model
from mm3d.pretrain import listed


@torch.no_grad()
def encode_clouds(
    encode: Callable[[Tensor], Tensor],
    clouds: PointClouds,
    config: PointsConfig,
    batch_size: int = 64,
    device: str = "cpu",
) -> np.ndarray:
    """Features of all clouds in their order: (M, F) float32."""
    found = []
    for start in range(0, len(clouds), batch_size):
        batch = evaluation_batch(clouds, range(start, min(start + batch_size, len(clouds))), config)
        found.append(encode(batch.points.to(device)).float().cpu())
    return torch.cat(found).numpy()


def load_encoder_on(source: str | Path, device: str) -> tuple[Any, str]:
    """A saved model that gives features of clouds, and the device it is on ("auto": a GPU where there is one).

    Raises:
        UserError: a model without ``encode``, a device that is not there, and what loading raises.
    """
    model = load_model(source)
    if not hasattr(model, "encode"):
        raise UserError(f"{source}: a {type(model).__name__} gives no features of whole clouds")
    return model, move_to(model, device)


def config_of(source: str | Path) -> dict[str, Any]:
    """The settings of the run that trained a model; none for a model without a run."""
    folder = RunFolder(resolve(source))
    return folder.config() if (folder.path / "config.yaml").exists() else {}


def points_config_of(source: str | Path) -> PointsConfig:
    """How the run that trained a model made samples of clouds; the defaults for a model without a run."""
    return from_dict(PointsConfig, config_of(source).get("points", {}), str(resolve(source) / "config.yaml"))


@dataclasses.dataclass(frozen=True)
class ProbeReport:
    """Probe results by features (pretrained, untrained) and method, the descriptor's accuracies, and what was left out."""

    results: dict[str, dict[str, list[ProbeResult]]]
    descriptor: list[float]
    skipped: dict[str, list[str]]  # by split, with the reasons
    test_size: int

    @property
    def skipped_test(self) -> int:
        """Clouds of the test split that could not be used."""
        return len(self.skipped["test"])

    def warnings(self) -> list[str]:
        """What to be wary of in these numbers, one line each."""
        runs = [(f, m, run) for f, methods in self.results.items() for m, found in methods.items() for run in found]
        said = [
            f"{features}, {method}, seed {run.seed}: {run.not_converged} fits stopped at their iteration limit"
            for features, method, run in runs
            if run.not_converged
        ]
        unseen = max((run.unseen_labels for _, _, run in runs), default=0)
        if unseen:
            said.append(f"{unseen} test clouds are of classes without a training cloud and count as wrong")
        for split, items in self.skipped.items():
            if items:
                wrong = " and count as wrong" if split == "test" else ""
                said.append(f"{len(items)} clouds of the {split} split could not be used{wrong}")
        return said

    def rows(self) -> list[tuple[str, str, MeanStd, str]]:
        """(features, probe, accuracy, chosen hyper-parameter); clouds of the test split that could not be read are wrong."""
        share = self.test_size / (self.test_size + self.skipped_test)
        rows = []
        for features, methods in self.results.items():
            for method, runs in methods.items():
                chosen = ", ".join(f"{v:g}" for v in sorted({r.value for r in runs}))
                score = mean_std([r.accuracy * share for r in runs])
                rows.append((features, method, score, f"{runs[0].parameter} = {chosen}"))
        if self.descriptor:
            rows.append(
                (
                    "pairwise distances (no learning)",
                    "400 extra trees",
                    mean_std([a * share for a in self.descriptor]),
                    "",
                )
            )
        return rows


def probe_model(
    source: str | Path,
    data: str,
    methods: Sequence[str] = ("linear_svm", "logistic", "knn"),
    seeds: int = 5,
    controls: bool = True,
    on_error: str = "stop",
    device: str = "cpu",
) -> ProbeReport:
    """Probe a saved model's frozen features on labelled clouds, beside two controls.

    Args:
        source: run folder or saved model with ``encode``.
        data: source words; probes are fitted on its train split and scored on its test split.
        methods: probes.
        seeds: how many; they vary the validation split on which a probe's hyper-parameter is chosen, and the weights
            of the untrained control.
        controls: also probe the same network with fresh weights, and the hand-made descriptor.
        on_error: "skip" leaves out unreadable clouds; those of the test split count as wrong.

    Raises:
        UserError: data without labels or splits, a model without features, or one of a few-shot episode.
    """
    if not methods:
        raise UserError("methods: none given; expected at least one probe")
    if "episode" in config_of(source):
        raise UserError(f"{source}: a few-shot episode, trained on clouds of both splits; expected a pretrained model")
    model, device = load_encoder_on(source, device)
    config = points_config_of(source)
    if on_error == "skip":
        config = dataclasses.replace(config, on_error="skip")
    patches = model.patching
    train, test = (
        usable(load(data, split, config.on_error), patches.groups, patches.group_size, config.on_error)
        for split in ("train", "test")
    )
    train, test = train.subset(train.labels >= 0), test.subset(test.labels >= 0)
    for split, clouds in (("train", train), ("test", test)):
        if len(clouds) == 0:
            raise UserError(f"{data}: no labelled clouds in its {split} split; a probe needs labels")
    if len(np.unique(train.labels)) < 2:
        raise UserError(f"{data}: all labels of its train split are the same; a probe needs at least two classes")

    def features(encode: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, np.ndarray]:
        return encode_clouds(encode, train, config, device=device), encode_clouds(encode, test, config, device=device)

    def probed(x: tuple[np.ndarray, np.ndarray], which: Sequence[int]) -> dict[str, list[ProbeResult]]:
        return probe(ProbeData(x[0], train.labels, x[1], test.labels), methods, which)

    results: dict[str, dict[str, list[ProbeResult]]] = {"pretrained": probed(features(model.encode), range(seeds))}
    forest: list[float] = []
    if controls:
        fresh: dict[str, list[ProbeResult]] = {method: [] for method in methods}
        for seed in range(seeds):
            for method, runs in probed(features(untrained(model, seed).encode), [seed]).items():
                fresh[method] += runs
        results["untrained"] = fresh
        made = [descriptors([clouds.cloud(i) for i in range(len(clouds))]) for clouds in (train, test)]
        forest = [descriptor_forest(made[0], train.labels, made[1], test.labels, seed) for seed in range(seeds)]
    skipped = {split: listed(clouds) for split, clouds in (("train", train), ("test", test))}
    return ProbeReport(results, forest, skipped, len(test))
