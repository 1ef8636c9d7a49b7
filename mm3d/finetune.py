"""Fine-tuning of a pretrained patch encoder: classification and part segmentation with an honest protocol.

The epoch is selected on validation data that is neither trained on nor reported; the test split is scored once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.config import from_dict
from core.errors import UserError
from core.evaluation.metrics import accuracy, mean_class_accuracy, part_miou, part_miou_without_classes
from core.random import generator
from core.reporting.scores import write_scores
from core.saving import MODEL, WEIGHTS, describe, load_strictly, load_tensors, resolve
from core.training.data import Microbatch
from core.training.job import Job, run_training
from core.training.loop import Step
from core.training.run import RunFolder
from core.training.selection import BestWeights, read_record
from mm3d.config import FinetuneRecipe, PartSegmenterConfig, PatchEncoderConfig, PointClassifierConfig
from mm3d.data.clouds import PointClouds
from mm3d.data.layouts import NoSplit
from mm3d.data.samples import LabelledPoints, PointBatch, candidates, evaluation_batch, stored, voting_batch
from mm3d.data.sources import load
from mm3d.data.splits import train_val_split
from mm3d.data.transforms import scale_and_translate
from mm3d.data.usable import usable
from mm3d.models.part_segmenter import PartSegmenter
from mm3d.models.point_classifier import PointClassifier
from mm3d.pretrain import describe_data, listed

Scores = dict[str, float]


def finetune(
    recipe: FinetuneRecipe, pretrained: str | Path, out: str | Path, resume: bool = False, scratch: bool = False
) -> Scores:
    """Fine-tune, select on validation data, score the test split once; leaves a run folder with ``result.json`` and
    ``report.html``.

    Args:
        recipe: task, data, schedule.
        pretrained: run folder, saved model or hub id whose patch encoder is taken.
        out: the run folder.
        resume: go on with the run in ``out``.
        scratch: take the encoder's sizes only, not its weights: the control that says what pretraining brought.

    Returns:
        Test scores: ``accuracy`` and ``mean_class_accuracy``, or ``instance_miou`` and ``class_miou`` (``part_miou``
        where shapes have no class); and ``validation``, the score that selected the epoch.

    Raises:
        UserError: data without labels, a model without a patch encoder, or what training raises.
    """
    folder = RunFolder(out)
    source = resolve(pretrained)
    encoder = encoder_config_of(source, recipe)
    train, validation, test = splits(recipe)

    def make(main: bool) -> Job:
        model = new_model(recipe, encoder, train)
        if not scratch:
            load_encoder(model, source)
        name = "accuracy" if recipe.task == "classification" else "miou"
        best = BestWeights(folder.state, model, lambda: main_score(evaluate(model, validation, recipe)), name, main)
        left_out = {name: listed(clouds) for name, clouds in (("validation", validation), ("test", test))}
        said = {
            "pretrained": None if scratch else str(source),
            **describe_data(train, recipe.data),
            "left_out": left_out,
        }
        data = LabelledPoints(train, recipe.points)
        return Job(model, data, supervised_step(recipe), said, best.after_epoch, best.restore)

    config = {**dataclasses.asdict(recipe), "pretrained": str(source), "scratch": scratch}
    outcome = run_training(folder, config, resume, "", recipe, make)
    scores = evaluate(outcome.job.model, test, recipe, recipe.votes)
    scores["validation"] = read_record(folder.state / "best.json")["score"]
    if test.skipped:
        scores["test_clouds_left_out"] = float(len(test.skipped))
    if outcome.main:
        write_scores(folder, f"{type(outcome.job.model).__name__}: {folder.path.resolve().name}", scores)
    return scores


def main_score(scores: Scores) -> float:
    """The score that selects: accuracy, or instance mIoU."""
    return scores["accuracy"] if "accuracy" in scores else scores["instance_miou"]


def new_model(
    recipe: FinetuneRecipe, encoder: PatchEncoderConfig, train: PointClouds
) -> PointClassifier | PartSegmenter:
    """The task's model with fresh weights.

    Raises:
        UserError: segmentation is to read blocks that the encoder does not have.
    """
    if recipe.task == "classification":
        return PointClassifier(
            PointClassifierConfig(encoder, train.classes, head_layers=recipe.head_layers, head_norm=recipe.head_norm)
        )
    try:
        config = PartSegmenterConfig(encoder, train.part_names, train.classes, recipe.layers)
    except ValueError as error:
        raise UserError(f"segmentation: {error}") from error
    return PartSegmenter(config)


def splits(recipe: FinetuneRecipe) -> tuple[PointClouds, PointClouds, PointClouds]:
    """Train, validation and test clouds; validation is the data's own, or a stratified share of train.

    Raises:
        UserError: no labels for the task.
    """
    train, test = load_split(recipe, "train"), load_split(recipe, "test")
    try:
        validation = load_split(recipe, "val")
    except NoSplit:
        validation = None
    if validation is None or len(validation) == 0:
        kept, held = train_val_split(train.labels, recipe.validation, recipe.train.seed)
        train, validation = train.subset(kept), train.subset(held)
    for name, clouds in (("train", train), ("validation", validation), ("test", test)):
        if len(clouds) == 0:
            raise UserError(f"{recipe.data}: no labelled clouds are left for the {name} split")
    if recipe.task == "classification" and len(np.unique(train.labels)) < 2:
        raise UserError(f"{recipe.data}: classification needs labels of at least two classes")
    return train, validation, test


def load_split(recipe: FinetuneRecipe, split: str) -> PointClouds:
    """The clouds of a split that have labels for the task, and points enough for the patches.

    Raises:
        NoSplit: the data has no such split.
        UserError: bad data, or parts without the class that the segmenter is given.
    """
    on_error = recipe.points.on_error
    clouds = usable(load(recipe.data, split, on_error), recipe.groups, recipe.group_size, on_error)
    if recipe.task == "classification":
        return clouds.subset(clouds.labels >= 0)
    if clouds.parts is None:
        raise UserError(f"{recipe.data}: segmentation needs a part label for every point")
    if clouds.classes and (clouds.labels < 0).any():
        item = clouds.names[int(np.argmax(clouds.labels < 0))]
        raise UserError(f"{recipe.data}: {item}: no class; segmentation of data with classes needs it for every cloud")
    return clouds.subset([i for i in range(len(clouds)) if (clouds.parts_of(i) >= 0).any()])


def encoder_config_of(source: Path, recipe: FinetuneRecipe) -> PatchEncoderConfig:
    """The pretrained encoder's sizes with the recipe's patches.

    Raises:
        UserError: the folder holds a model without a patch encoder, or one that is fine-tuned already.
    """
    described = describe(source)
    if described["model"] in (PointClassifier.__name__, PartSegmenter.__name__):
        raise UserError(f"{source}: is fine-tuned already; expected a pretrained model")
    config = described["config"].get("encoder")
    if not isinstance(config, dict):
        raise UserError(f"{source}: this model has no patch encoder to fine-tune")
    changed = {"groups": recipe.groups, "group_size": recipe.group_size, "drop_path": recipe.drop_path}
    return from_dict(PatchEncoderConfig, {**config, **changed}, f"{source / MODEL}: encoder")


def load_encoder(model: PointClassifier | PartSegmenter, source: Path) -> None:
    """The weights of a saved model's encoder, strictly, and its class token where both models have one."""
    path = source / WEIGHTS
    saved = load_tensors(path)
    weights = {n.removeprefix("encoder."): t for n, t in saved.items() if n.startswith("encoder.")}
    load_strictly(model.encoder, weights, str(path))
    for name, own in model.named_parameters(recurse=False):  # the class token and its position
        pretrained = saved.get(f"special.{name}")
        if pretrained is not None:
            own.data.copy_(pretrained)


def supervised_step(recipe: FinetuneRecipe) -> Step:
    """The step of a task: cross-entropy of classes, or of the parts of labelled points; 0 where no point has a label."""

    def step(wrapped: nn.Module, micro: Microbatch, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        batch: PointBatch = micro.batch
        logits = wrapped(batch.points, batch.labels)
        target = batch.parts if logits.ndim == 3 else batch.labels
        count = (target >= 0).sum().clamp(min=1)
        # torch spreads over all classes, the official code over the others
        smoothing = 0.0 if logits.ndim == 3 else recipe.label_smoothing * logits.shape[-1] / (logits.shape[-1] - 1)
        total = F.cross_entropy(
            logits.flatten(0, -2).float(),
            target.flatten(),
            ignore_index=-1,
            reduction="sum",
            label_smoothing=smoothing,
        )
        right = ((logits.argmax(-1) == target) & (target >= 0)).sum() / count
        return total / count, {"train_accuracy": right.detach()}

    return step


@torch.no_grad()
def predict(model: nn.Module, clouds: PointClouds, recipe: FinetuneRecipe, votes: int = 1) -> list[Tensor]:
    """Logits of the classes of every cloud, (classes,), or of the parts of every point of its sample, (N, parts).

    Args:
        votes: 1 scores each cloud once. More averages the logits of that many randomly scaled and moved views; for
            classification each draws its points anew, for segmentation they are those that are scored.
    """
    model.eval()
    device = next(model.parameters()).device
    found: list[Tensor] = []
    for start in range(0, len(clouds), recipe.train.batch_size):
        indices = range(start, min(start + recipe.train.batch_size, len(clouds)))
        if votes > 1:
            views = views_of(clouds, indices, recipe, votes)
        else:
            views = [evaluation_batch(clouds, indices, recipe.points).points]
        labels = torch.tensor([int(clouds.labels[i]) for i in indices], device=device)
        found += list(torch.stack([model(points.to(device), labels).float() for points in views]).mean(0).cpu())
    return found


def views_of(clouds: PointClouds, indices: Sequence[int], recipe: FinetuneRecipe, votes: int) -> list[Tensor]:
    """What each vote sees of some clouds: points (B, N, 3), drawn anew where it is the cloud that is classified."""
    config = recipe.points
    if recipe.task == "classification":
        pools = [candidates(stored(clouds, i, config).points, config) for i in indices]
        return [voting_batch(clouds, indices, config, pools, vote).points for vote in range(votes)]
    scored = evaluation_batch(clouds, indices, config).points
    return [
        torch.stack([scale_and_translate(p, generator(i, vote, "vote")) for i, p in zip(indices, scored, strict=True)])
        for vote in range(votes)
    ]


def evaluate(model: nn.Module, clouds: PointClouds, recipe: FinetuneRecipe, votes: int = 1) -> Scores:
    """Scores of a split: accuracies, or part mIoU (among the parts of the shape's class, where that is known)."""
    predicted = predict(model, clouds, recipe, votes)
    if recipe.task == "classification":
        classes = np.array([int(p.argmax()) for p in predicted])
        return {
            "accuracy": accuracy(classes, clouds.labels),
            "mean_class_accuracy": mean_class_accuracy(classes, clouds.labels),
        }
    batches = [evaluation_batch(clouds, [i], recipe.points) for i in range(len(clouds))]
    targets = [batch.parts[0].numpy() for batch in batches]
    scored = [
        i for i, target in enumerate(targets) if (target >= 0).any()
    ]  # a sample may have missed the labelled points
    if not scored:
        raise UserError(
            f"{recipe.data}: no sample of {recipe.points.count} points has a labelled one; take more points"
        )
    predicted, targets = [predicted[i] for i in scored], [targets[i] for i in scored]
    labels = clouds.labels[scored]
    if not clouds.parts_of_class:
        iou = part_miou_without_classes([p.argmax(-1).numpy() for p in predicted], targets)
        return {"instance_miou": iou.instance, "part_miou": iou.group}
    chosen = []
    for scores, label in zip(predicted, labels, strict=True):
        allowed = torch.tensor(clouds.parts_of_class[label])
        chosen.append(allowed[scores[:, allowed].argmax(-1)].numpy())
    iou = part_miou(chosen, targets, labels, clouds.parts_of_class)
    return {"instance_miou": iou.instance, "class_miou": iou.group}
