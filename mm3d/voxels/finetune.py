"""Fine-tuning of a pretrained backbone on the classes of voxels with an honest protocol.

The epoch is selected on validation voxels that are neither trained on nor reported; the test part is scored once.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.config import from_dict
from core.errors import UserError
from core.reporting.scores import write_scores
from core.saving import MODEL, WEIGHTS, describe, load_strictly, load_tensors, resolve
from core.training.data import Microbatch
from core.training.job import Job, run_training
from core.training.run import RunFolder
from core.training.selection import BestWeights, read_record
from mm3d.config.sweep_finetune import SweepFinetuneRecipe, VoxelSegmenterConfig
from mm3d.config.voxels import VoxelEncoderConfig
from mm3d.data.clouds import collect
from mm3d.data.labelled_sweeps import LabelledSweep, find_labelled
from mm3d.data.sweeps import check_range
from mm3d.models.voxel_segmenter import VoxelSegmenter
from mm3d.voxels.features import on_device, takes_sweeps
from mm3d.voxels.labelled import LabelledSweepSamples, LabelledVoxels
from mm3d.voxels.parts import SweepParts, split_sweeps
from mm3d.voxels.probe import SegmentationScore, segmentation_score

Scores = dict[str, float]


def finetune_sweeps(
    recipe: SweepFinetuneRecipe, pretrained: str | Path, out: str | Path, resume: bool = False, scratch: bool = False
) -> Scores:
    """Fine-tune, select on validation voxels, score the test part once; leaves a run folder with ``result.json`` and
    ``report.html``.

    Args:
        recipe: data, schedule.
        pretrained: run folder, saved model or hub id whose backbone is taken.
        out: the run folder.
        resume: go on with the run in ``out``.
        scratch: take the encoder's sizes only, not its weights: the control that says what pretraining brought.

    Returns:
        Test scores ``accuracy`` and ``miou``; ``validation``, the mean IoU that selected the epoch; and
        ``sweeps_left_out`` where some could not be used.

    Raises:
        UserError: data without labels, a model that is not on voxels of sweeps, or what training raises.
    """
    folder, source = RunFolder(out), resolve(pretrained)
    encoder = encoder_config_of(source, recipe)
    sweeps, classes, skipped = read_labelled(recipe, encoder)
    parts = split_sweeps(sweeps, recipe.sweeps, encoder, recipe.validation)

    def make(main: bool) -> Job:
        model = VoxelSegmenter(VoxelSegmenterConfig(encoder, classes))
        if not scratch:
            load_encoder(model, source)
        best = BestWeights(folder.state, model, lambda: evaluate(model, parts.validation).miou, "miou", main)
        said = {
            "pretrained": None if scratch else str(source),
            "data": describe_data(recipe.data, sweeps, parts, classes, skipped),
        }
        data = LabelledSweepSamples(parts.training, recipe.sweeps, encoder)
        counted = ("voxels", lambda batch: len(batch.labels))
        return Job(model, data, supervised_step, said, best.after_epoch, best.restore, counted=counted)

    config = {**dataclasses.asdict(recipe), "pretrained": str(source), "scratch": scratch}
    outcome = run_training(folder, config, resume, "", recipe, make)
    score = evaluate(outcome.job.model, parts.test)
    chosen = read_record(folder.state / "best.json")["score"]
    scores = {"accuracy": score.accuracy, "miou": score.miou, "validation": chosen}
    if skipped:
        scores["sweeps_left_out"] = float(len(skipped))
    if outcome.main:
        write_scores(folder, f"{type(outcome.job.model).__name__}: {folder.path.resolve().name}", scores)
    return scores


def read_labelled(
    recipe: SweepFinetuneRecipe, encoder: VoxelEncoderConfig
) -> tuple[list[LabelledSweep], tuple[str, ...], list[tuple[str, str]]]:
    """The labelled sweeps of a recipe that can be used, the names of their classes, and (item, reason) of the others.

    Raises:
        UserError: nothing labelled there; one that cannot be used, or with ``on_error: skip`` none that can.
    """
    found = find_labelled(recipe.data, recipe.sweeps, recipe.most)

    def read(index: int) -> LabelledSweep:
        sweep = found.readers[index]()
        check_range(torch.from_numpy(np.array(sweep.points)), sweep.name, recipe.sweeps, encoder.grid)
        return sweep

    sweeps, _, skipped = collect(recipe.data, found.names, read, recipe.sweeps.on_error)
    return sweeps, found.classes, skipped


def encoder_config_of(source: Path, recipe: SweepFinetuneRecipe) -> VoxelEncoderConfig:
    """The pretrained encoder's sizes with the recipe's batch norm.

    Raises:
        UserError: the folder holds a model that is not on voxels of sweeps.
    """
    if not takes_sweeps(source):
        raise UserError(
            f"{source}: a {describe(source)['model']}; expected a model on voxels of LiDAR sweeps for a recipe with task voxels"
        )
    changed = {"norm_momentum": recipe.norm_momentum}
    values = describe(source)["config"].get("encoder")
    return from_dict(VoxelEncoderConfig, {**(values or {}), **changed}, f"{source / MODEL}: encoder")


def load_encoder(model: VoxelSegmenter, source: Path) -> None:
    """The weights of a saved model's encoder, strictly."""
    path = source / WEIGHTS
    weights = {n.removeprefix("encoder."): t for n, t in load_tensors(path).items() if n.startswith("encoder.")}
    load_strictly(model.encoder, weights, str(path))


def supervised_step(wrapped: nn.Module, micro: Microbatch, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of the classes, the mean over labelled voxels; 0 where no voxel has a label."""
    batch: LabelledVoxels = micro.batch
    logits = wrapped(batch.voxels)
    count = (batch.labels >= 0).sum().clamp(min=1)
    total = F.cross_entropy(logits.float(), batch.labels, ignore_index=-1, reduction="sum")
    right = (logits.argmax(1) == batch.labels).sum() / count
    return total / count, {"train_accuracy": right.detach()}


@torch.no_grad()
def evaluate(model: nn.Module, part: Sequence[LabelledVoxels]) -> SegmentationScore:
    """Scores of the labelled voxels of a part, all together; sweeps are neither augmented nor cut."""
    model.eval()
    device = str(next(model.parameters()).device)
    predicted, true = [], []
    for voxels, labels in part:
        known = labels >= 0
        predicted.append(model(on_device(voxels, device)).argmax(1).cpu()[known].numpy())
        true.append(labels[known].numpy())
    return segmentation_score(np.concatenate(predicted), np.concatenate(true))


def describe_data(
    source: str,
    sweeps: Sequence[LabelledSweep],
    parts: SweepParts,
    classes: Sequence[str],
    skipped: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """What a run folder says of its data."""
    digest = hashlib.sha256()
    for sweep in sweeps:
        for values in (sweep.points, sweep.labels):
            digest.update(np.ascontiguousarray(values[:: max(1, len(values) // 512)]).tobytes())
    counts = {name: sum(int((labels >= 0).sum()) for _, labels in part)
              for name, part in (("validation", parts.validation), ("test", parts.test))}  # fmt: skip
    return {
        "source": source,
        "sweeps": len(sweeps),
        "classes": len(classes),
        "training_sweeps": len(parts.training),
        "labelled_voxels": counts,
        "held_out": parts.how,
        "fingerprint": digest.hexdigest()[:16],
        "skipped": [f"{item}: {reason}" for item, reason in skipped],
    }
