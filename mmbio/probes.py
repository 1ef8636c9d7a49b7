"""What classical probes read from frozen features of whole sequences: classes, values, several yes-or-no questions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.evaluation.metrics import rmse, roc_auc, spearman
from core.evaluation.probes import METHODS, ProbeData
from mmbio.data.sets import LabelledSequences

ALPHAS = (1e5, 1e4, 1e3, 1e2, 1e1, 1.0, 1e-1, 1e-2)
"""Penalties of ridge regression on standardised features, the strongest first."""

C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of logistic regression on standardised features, the strongest penalty first."""

ROWS = 4_096
"""Rows of features that are float64 at a time."""

Floats = NDArray[np.floating | np.integer]


def probe_classes(features: Floats, data: LabelledSequences, method: str, seed: int) -> dict[str, float]:
    """``accuracy`` and ``mean class accuracy`` of the test part by one of :data:`~core.evaluation.probes.METHODS`.

    Args:
        features: (N, C) of all sequences.
        method: logistic, linear_svm or knn; its parameter is chosen on the validation part.

    Raises:
        UserError: features that are not finite, a training part of one class.
    """
    labels = np.asarray(data.labels)
    parts = [
        array[part]
        for part in (data.train, data.test, data.validation)
        for array in (np.asarray(features, np.float32), labels)
    ]
    found = METHODS[method](ProbeData(*parts), seed)
    return {"accuracy": found.accuracy, "mean class accuracy": found.mean_class_accuracy}


def probe_values(features: Floats, data: LabelledSequences, alphas: Sequence[float] = ALPHAS) -> dict[str, float]:
    """``Spearman`` and ``RMSE`` of the test part by ridge regression, averaged over columns of labels.

    Features are standardised with mean and deviation of the training part, constant ones left out. The penalty is the one
    of least squared error on the validation part, the strongest among equals. Missing labels (NaN) are left out.

    Raises:
        UserError: features that are not finite, a column without labels in one of the parts.
    """
    x = standardised(features, data)
    scores = []
    for column, name in enumerate(data.classes):
        y = np.asarray(data.labels)[:, column]
        train, validation, test = (_known(y, part, name, data) for part in (data.train, data.validation, data.test))
        fits = Ridge(x[train], y[train])
        errors = [rmse(fits.predict(x[validation], alpha), y[validation]) for alpha in alphas]
        predicted = fits.predict(x[test], alphas[int(np.argmin(errors))])
        scores.append((spearman(predicted, y[test]), rmse(predicted, y[test])))
    means = np.mean(scores, 0)
    return {"Spearman": float(means[0]), "RMSE": float(means[1])}


class Ridge:
    """Ridge regression, fitted once for all penalties: (x x^T + alpha)^-1 or (x^T x + alpha)^-1, whichever is smaller.

    Args:
        x: (N, C) standardised features.
        y: (N,).
    """

    def __init__(self, x: Floats, y: Floats) -> None:
        self.shift = float(y.mean())
        self.centre = x.mean(0)
        x = x - self.centre
        self.wide = x.shape[1] > x.shape[0]
        self.x = x
        values, vectors = np.linalg.eigh(x @ x.T if self.wide else x.T @ x)
        self.values, self.vectors = np.maximum(values, 0), vectors
        self.y = vectors.T @ ((y - self.shift) if self.wide else x.T @ (y - self.shift))

    def predict(self, x: Floats, alpha: float) -> Floats:
        """(M, C) -> (M,)."""
        solved = self.vectors @ (self.y / (self.values + alpha))
        return (x - self.centre) @ (self.x.T @ solved if self.wide else solved) + self.shift


def probe_binary(features: Floats, data: LabelledSequences, grid: Sequence[float] = C_GRID) -> dict[str, float]:
    """``ROC-AUC`` of the test part, averaged over tasks, by a logistic regression each on the sequences that have its label.

    C is chosen by the area under the curve on the validation part, the strongest penalty among equals and where validation
    has one class only. Tasks whose training labels are of one class, or whose test labels are, have no score and are left
    out, as MoleculeNet does.

    Raises:
        UserError: features that are not finite, or no task with both classes.
    """
    x, y = standardised(features, data), np.asarray(data.labels, dtype=np.float64)
    scores = np.full(y[data.test].shape, np.nan)
    for task in range(y.shape[1]):
        train, validation = (part[~np.isnan(y[part, task])] for part in (data.train, data.validation))
        if len(np.unique(y[train, task])) < 2:
            continue
        chosen = grid[0]
        if len(np.unique(y[validation, task])) == 2 and len(grid) > 1:
            areas = [roc_auc(_logistic(x, y[:, task], train, validation, c), y[validation, task]) for c in grid]
            chosen = grid[int(np.argmax(areas))]
        scores[:, task] = _logistic(x, y[:, task], train, data.test, chosen)
    learned = ~np.isnan(scores).any(0)
    if not learned.any():
        raise UserError(f"{data.name}: no task has both classes in the training part")
    return {"ROC-AUC": roc_auc(scores[:, learned], y[data.test][:, learned])}


def _logistic(x: Floats, y: Floats, train: NDArray, asked: NDArray, c: float) -> Floats:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=c, max_iter=200).fit(x[train], y[train]).decision_function(x[asked])


def standardised(features: Floats, data: LabelledSequences) -> Floats:
    """Features with mean 0 and deviation 1 over the training part, in float32, without those that are constant there.

    Computed in float64, :data:`ROWS` rows at a time, so that beside the features and the result little memory is needed.

    Args:
        features: (N, C), of any number type.

    Raises:
        UserError: NaN or infinite features.
    """
    parts = np.array_split(np.arange(len(features)), -(-len(features) // ROWS))
    if not all(np.isfinite(features[some]).all() for some in parts):
        raise UserError(f"{data.name}: features that are NaN or infinite; expected finite ones")
    train = np.array_split(data.train, -(-len(data.train) // ROWS))
    mean = sum(features[some].sum(0, dtype=np.float64) for some in train) / len(data.train)
    squares = sum(np.square(features[some] - mean).sum(0) for some in train)
    deviation = np.sqrt(squares / len(data.train))
    kept = deviation > 1e-6
    found = np.empty((len(features), int(kept.sum())), np.float32)
    for some in parts:
        found[some] = (features[some][:, kept] - mean[kept]) / deviation[kept]
    return found


def _known(y: Floats, part: NDArray[np.integer], name: str, data: LabelledSequences) -> NDArray[np.integer]:
    known = part[~np.isnan(y[part])]
    if not len(known):
        raise UserError(f"{data.name}: {name} has no label in one of train, validation and test")
    return known
