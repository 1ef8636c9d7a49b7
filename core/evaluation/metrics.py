"""Scores of predictions: numpy arrays in, Python floats out, shares in [0, 1] rather than percentages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import UserError


@dataclass(frozen=True)
class MeanStd:
    """Mean and standard deviation of several runs; prints as ``0.701 ± 0.012``."""

    mean: float
    std: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.std:.3f}" if self.count > 1 else f"{self.mean:.3f}"


def mean_std(values: ArrayLike) -> MeanStd:
    """Mean and population standard deviation (ddof=0: divided by n, not n - 1) of one number a run.

    Raises:
        ValueError: no values.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    if array.size == 0:
        raise ValueError("mean_std of no values")
    return MeanStd(float(array.mean()), float(array.std(ddof=0)), int(array.size))


def accuracy(predictions: ArrayLike, targets: ArrayLike) -> float:
    """Share of predictions that equal their target; both (N,) labels of any integer or string type."""
    predicted, expected = _pair(predictions, targets)
    return float((predicted == expected).mean())


def mean_class_accuracy(predictions: ArrayLike, targets: ArrayLike) -> float:
    """Accuracy within each class, averaged over the classes that occur in the targets (balanced accuracy)."""
    predicted, expected = _pair(predictions, targets)
    return float(np.mean([(predicted[expected == label] == label).mean() for label in np.unique(expected)]))


def mcc(predictions: ArrayLike, targets: ArrayLike) -> float:
    """Matthews' correlation coefficient of (N,) integer labels, for two classes or more.

    Returns:
        A value in [-1, 1]; 0 where it is undefined, as one side is of one class only.

    Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004, Eq. 8.
    """
    predicted, expected = _pair(predictions, targets)
    classes = np.union1d(predicted, expected)
    said = np.array([(predicted == label).sum() for label in classes], dtype=np.float64)
    true = np.array([(expected == label).sum() for label in classes], dtype=np.float64)
    count, right = float(predicted.size), float((predicted == expected).sum())
    scale = np.sqrt((count**2 - said @ said) * (count**2 - true @ true))
    return float((right * count - said @ true) / scale) if scale > 0 else 0.0


def rmse(predictions: ArrayLike, targets: ArrayLike) -> float:
    """Root mean squared error; entries whose target is NaN (a missing label) are left out."""
    predicted, expected = _labelled(predictions, targets)
    return float(np.sqrt(np.mean((predicted - expected) ** 2)))


def spearman(predictions: ArrayLike, targets: ArrayLike) -> float:
    """Spearman's rank correlation, ties get their mean rank; (N,) each, missing targets (NaN) are left out.

    Returns:
        A value in [-1, 1]; NaN, as it is undefined, where one side is constant or fewer than two pairs
        remain.
    """
    from scipy.stats import rankdata

    predicted, expected = _labelled(predictions, targets)
    if predicted.size < 2 or np.ptp(predicted) == 0 or np.ptp(expected) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(predicted), rankdata(expected))[0, 1])


def roc_auc(scores: ArrayLike, targets: ArrayLike) -> float:
    """Area under the ROC curve, averaged over tasks.

    Args:
        scores: (N,) or (N, T), higher means more likely positive.
        targets: same shape, 0 or 1, NaN where the label is missing. A task whose known labels are all of one
            class has no curve and is left out of the average, as MoleculeNet and OGB do.

    Raises:
        UserError: no task has both classes.
        ValueError: other shapes, labels other than 0/1, or scores that are not finite where a label is known.
    """
    from sklearn.metrics import roc_auc_score

    return _over_tasks(roc_auc_score, scores, targets)


def average_precision(scores: ArrayLike, targets: ArrayLike) -> float:
    """Area under the precision-recall steps, averaged over tasks; arguments and errors as :func:`roc_auc`."""
    from sklearn.metrics import average_precision_score

    return _over_tasks(average_precision_score, scores, targets)


def _over_tasks(score: Callable[..., float], scores: ArrayLike, targets: ArrayLike) -> float:
    given, known = np.asarray(scores, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if given.shape != known.shape or given.ndim not in (1, 2):
        raise ValueError(f"scores {given.shape}, targets {known.shape}: expected the same shape, (N,) or (N, T)")
    given, known = given.reshape(len(given), -1), known.reshape(len(known), -1)
    values = []
    for task in range(known.shape[1]):
        has = ~np.isnan(known[:, task])
        labels, task_scores = known[has, task], given[has, task]
        if not np.isin(labels, (0.0, 1.0)).all():
            raise ValueError(f"task {task}: labels other than 0, 1 and NaN")
        if not np.isfinite(task_scores).all():
            raise ValueError(f"task {task}: scores that are not finite")
        if 0 < labels.sum() < labels.size:
            values.append(float(score(labels, task_scores)))
    if not values:
        raise UserError("targets: no task has both positive and negative labels; expected at least one")
    return float(np.mean(values))


def _pair(predictions: ArrayLike, targets: ArrayLike) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    predicted, expected = np.asarray(predictions), np.asarray(targets)
    if predicted.shape != expected.shape or predicted.ndim != 1 or predicted.size == 0:
        raise ValueError(f"predictions {predicted.shape}, targets {expected.shape}: expected (N,) each, N > 0")
    return predicted, expected


def _labelled(predictions: ArrayLike, targets: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    predicted, expected = np.asarray(predictions, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if predicted.shape != expected.shape:
        raise ValueError(f"predictions {predicted.shape}, targets {expected.shape}: expected the same shape")
    has = ~np.isnan(expected)
    if not has.any():
        raise UserError("targets: every label is missing (NaN); expected at least one")
    return predicted[has], expected[has]


@dataclass(frozen=True)
class PartIoU:
    """Part segmentation: ``instance`` weights every shape alike, ``group`` every class (or part)."""

    instance: float
    group: float
    per_group: dict[int, float]


def shape_iou(prediction: NDArray[np.integer], target: NDArray[np.integer], parts: Sequence[int]) -> float:
    """Mean over ``parts`` of intersection / union of one shape's points; a part absent from both counts 1."""
    ious = []
    for part in parts:
        predicted, expected = prediction == part, target == part
        union = int((predicted | expected).sum())
        ious.append(float((predicted & expected).sum() / union) if union else 1.0)
    return float(np.mean(ious))


def part_miou(
    predictions: Sequence[NDArray[np.integer]],
    targets: Sequence[NDArray[np.integer]],
    shape_classes: ArrayLike,
    parts_of_class: Sequence[Sequence[int]],
) -> PartIoU:
    """Part mIoU as ShapeNetPart reports it (Yi et al. 2016; evaluation of PointNet, Section 5.2).

    Args:
        predictions: one (N_i,) integer array a shape. The ShapeNetPart protocol takes the argmax over the
            parts of the shape's own class only; do so before calling this.
        targets: the same shapes; points labelled -1 are left out.
        shape_classes: (M,) class of every shape.
        parts_of_class: the part ids of every class.

    Returns:
        ``instance``: mean over shapes of :func:`shape_iou`; ``group``: mean over the classes that occur of
        their shapes' mean; ``per_group``: the latter by class.

    Raises:
        UserError: a target label that is no part of its shape's class, or a shape without a labelled point.
    """
    classes = np.asarray(shape_classes, dtype=np.int64)
    if not len(predictions) == len(targets) == len(classes) > 0:
        raise ValueError(f"{len(predictions)} predictions, {len(targets)} targets and {len(classes)} classes")
    ious = np.empty(len(classes))
    for i, label in enumerate(classes):
        predicted, expected = _labelled_points(predictions[i], targets[i], i)
        strangers = np.setdiff1d(expected, parts_of_class[label])
        if strangers.size:
            raise UserError(
                f"shape {i}: part {strangers[0]} is no part of class {label}; "
                f"expected one of {list(parts_of_class[label])}"
            )
        ious[i] = shape_iou(predicted, expected, parts_of_class[label])
    per_class = {int(label): float(ious[classes == label].mean()) for label in np.unique(classes)}
    return PartIoU(float(ious.mean()), float(np.mean(list(per_class.values()))), per_class)


def part_miou_without_classes(
    predictions: Sequence[NDArray[np.integer]], targets: Sequence[NDArray[np.integer]]
) -> PartIoU:
    """Part mIoU for a set whose shapes have no classes, so that nobody says which parts a shape may have.

    Returns:
        ``instance``: mean over shapes of the mean over the parts that occur in the shape's prediction or
        target. A part absent from both is left out here: with many rare parts, counting it as 1 would hide
        every error. ``group``: mean over the parts that occur anywhere of the IoU of all shapes' points
        pooled; ``per_group``: the latter by part. Points whose target is -1 are left out.

    Raises:
        UserError: a shape without a labelled point.
    """
    if not len(predictions) == len(targets) > 0:
        raise ValueError(f"{len(predictions)} predictions and {len(targets)} targets")
    pairs = [_labelled_points(p, t, i) for i, (p, t) in enumerate(zip(predictions, targets, strict=True))]
    instance = [shape_iou(p, t, [int(part) for part in np.union1d(p, t)]) for p, t in pairs]
    predicted, expected = np.concatenate([p for p, _ in pairs]), np.concatenate([t for _, t in pairs])
    parts = [int(part) for part in np.union1d(predicted, expected)]
    per_part = {part: shape_iou(predicted, expected, [part]) for part in parts}
    return PartIoU(float(np.mean(instance)), float(np.mean(list(per_part.values()))), per_part)


def _labelled_points(
    prediction: NDArray[np.integer], target: NDArray[np.integer], index: int
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    predicted, expected = np.asarray(prediction), np.asarray(target)
    if predicted.shape != expected.shape or predicted.ndim != 1:
        raise ValueError(f"shape {index}: prediction {predicted.shape}, target {expected.shape}: expected (N,)")
    has = expected >= 0
    if not has.any():
        raise UserError(f"shape {index}: no point has a part label; expected at least one")
    return predicted[has], expected[has]
