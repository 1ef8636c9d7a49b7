"""Probes on frozen features: what a linear SVM, a logistic regression and nearest neighbours read from them.

Protocol, the same for all three. Features are standardised with the mean and deviation of the training
part. The one hyper-parameter is chosen on a stratified validation split of the training part, the first of
the grid among equals (the most regularised C, the smallest k). The probe is then refitted on the whole
training part and the test part is scored once. A seed draws the validation split. Where the data has a
validation part of its own, that one chooses, and nothing depends on the seed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.evaluation.metrics import accuracy, mean_class_accuracy, mean_std
from core.reporting.tables import Table

C_GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
K_GRID = (1, 3, 5, 10, 20)
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class ProbeData:
    """Frozen features (N, D) and integer labels (N,) of a training and a test part, and of a validation part if there is one.

    Raises:
        UserError: NaN or infinite features, widths or counts that differ, an empty part, negative labels
            (which mean "none" in our data sets), a training part of one class.
    """

    train_x: NDArray[np.floating]
    train_y: NDArray[np.integer]
    test_x: NDArray[np.floating]
    test_y: NDArray[np.integer]
    validation_x: NDArray[np.floating] | None = None
    validation_y: NDArray[np.integer] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) is not None:
                object.__setattr__(self, field.name, np.asarray(getattr(self, field.name)))
        if (self.validation_x is None) != (self.validation_y is None):
            raise ValueError("validation_x and validation_y: expected both or none")
        for part in ("train", "test") if self.validation_x is None else ("train", "test", "validation"):
            x = getattr(self, f"{part}_x")
            _check_part(part, x, getattr(self, f"{part}_y"))
            if self.train_x.shape[1] != x.shape[1]:
                raise UserError(
                    f"{part}_x: {x.shape[1]} features a row; expected {self.train_x.shape[1]} as in train_x"
                )
        if len(np.unique(self.train_y)) < 2:
            raise UserError(f"train_y: every label is {self.train_y[0]}; a probe needs at least two classes")


@dataclass(frozen=True)
class ProbeResult:
    """One probe under one seed: test scores, the hyper-parameter that was chosen, and what to be wary of."""

    method: str
    seed: int
    accuracy: float
    mean_class_accuracy: float
    parameter: str  # "C" or "k"
    value: float
    validation_accuracy: float  # of the chosen value; NaN where the grid has one value and nothing was chosen
    not_converged: int  # fits of this probe, validation and final, that stopped at their iteration limit
    unseen_labels: int  # test samples whose class has no training sample: they count as errors


def linear_svm(data: ProbeData, seed: int, grid: Sequence[float] = C_GRID) -> ProbeResult:
    """Linear SVM, one against one, hinge loss (LIBSVM through scikit-learn's SVC), at most 1,000,000 iterations.

    C weighs the sum over samples of the loss. Pairs of classes suit many classes with few samples: on 1,977 samples of
    69 classes with 384 features LIBLINEAR's one-against-the-rest was seven points worse and several times slower.

    Source: the evaluation of Zhang et al., "Point-M2AE", Section 4.1, in their code (SVC with a linear kernel). Their C
    is one value given by hand.
    """
    from sklearn.svm import SVC

    def build(c: float) -> Any:
        return SVC(C=c, kernel="linear", max_iter=1_000_000)

    return _probe("linear_svm", "C", build, data, seed, grid)


def logistic(data: ProbeData, seed: int, grid: Sequence[float] = C_GRID) -> ProbeResult:
    """Multinomial logistic regression with an L2 penalty, L-BFGS, at most 500 iterations."""
    from sklearn.linear_model import LogisticRegression

    def build(c: float) -> Any:
        return LogisticRegression(C=c, max_iter=500)

    return _probe("logistic", "C", build, data, seed, grid)


def knn(data: ProbeData, seed: int, grid: Sequence[int] = K_GRID) -> ProbeResult:
    """Majority vote of the k nearest training samples, Euclidean distance on standardised features.

    A tied vote goes to the smaller label. Values of k larger than the validation fit has samples are left
    out.
    """
    from sklearn.neighbors import KNeighborsClassifier

    def build(k: float) -> Any:
        return KNeighborsClassifier(n_neighbors=int(k), algorithm="brute", n_jobs=1)

    splits = len(grid) > 1 and data.validation_y is None
    count = len(validation_split(data.train_y, seed)[0]) if splits else len(data.train_y)
    usable = [k for k in grid if k <= count]
    if not usable:
        raise UserError(f"k: every value of {list(grid)} is more than the {count} training samples")
    return _probe("knn", "k", build, data, seed, usable)


METHODS: dict[str, Callable[[ProbeData, int], ProbeResult]] = {
    "linear_svm": linear_svm,
    "logistic": logistic,
    "knn": knn,
}


def probe(
    data: ProbeData, methods: Sequence[str] = tuple(METHODS), seeds: Sequence[int] = (0, 1, 2)
) -> dict[str, list[ProbeResult]]:
    """Every method under every seed.

    Raises:
        UserError: an unknown method.
    """
    for name in methods:
        if name not in METHODS:
            raise UserError(f"{name}: no such probe; expected one of {', '.join(METHODS)}")
    return {name: [METHODS[name](data, seed) for seed in seeds] for name in methods}


def probe_table(results: dict[str, list[ProbeResult]]) -> Table:
    """One row a method: mean ± standard deviation over seeds (ddof=0), chosen values, warnings."""
    columns = (
        "probe",
        "accuracy",
        "mean class accuracy",
        "chosen",
        "seeds",
        "not converged",
        "unseen labels",
    )
    rows = []
    for name, runs in results.items():
        chosen = ", ".join(f"{value:g}" for value in sorted({run.value for run in runs}))
        rows.append(
            (
                name,
                mean_std([run.accuracy for run in runs]),
                mean_std([run.mean_class_accuracy for run in runs]),
                f"{runs[0].parameter} = {chosen}",
                len(runs),
                sum(run.not_converged for run in runs),
                runs[0].unseen_labels,
            )
        )
    return Table(columns, rows)


def validation_split(
    labels: NDArray[np.integer], seed: int, share: float = VALIDATION_SHARE
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices (fit, validation) of a stratified split.

    Of a class with n members, round(share * n) go to validation, but at least one and at most n - 1; the
    only member of a class stays in the fitted part, so that every class can be predicted.
    """
    generator = np.random.default_rng(seed)
    fit, validation = [], []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        count = min(max(1, round(share * len(members))), len(members) - 1)
        validation.append(members[:count])
        fit.append(members[count:])
    return np.sort(np.concatenate(fit)), np.sort(np.concatenate(validation))


def _probe(
    method: str,
    parameter: str,
    build: Callable[[float], Any],
    data: ProbeData,
    seed: int,
    grid: Sequence[float],
) -> ProbeResult:
    if not grid:
        raise ValueError(f"{method}: an empty grid for {parameter}")
    stopped = 0
    value, best = grid[0], float("nan")
    if len(grid) > 1:
        fit_x, fit_y, held_x, held_y = _selection(data, seed, parameter)
        fit_x, held_x = _standardise(fit_x, held_x)
        scores = []
        for candidate in grid:
            predicted, missed = _fit_predict(build(candidate), fit_x, fit_y, held_x)
            scores.append(accuracy(predicted, held_y))
            stopped += missed
        value, best = grid[int(np.argmax(scores))], max(scores)
    train_x, test_x = _standardise(data.train_x, data.test_x)
    predicted, missed = _fit_predict(build(value), train_x, data.train_y, test_x)
    return ProbeResult(
        method,
        seed,
        accuracy(predicted, data.test_y),
        mean_class_accuracy(predicted, data.test_y),
        parameter,
        float(value),
        best,
        stopped + missed,
        int((~np.isin(data.test_y, data.train_y)).sum()),
    )


def _selection(data: ProbeData, seed: int, parameter: str) -> tuple[NDArray[Any], ...]:
    """Features and labels to fit, and those to choose on."""
    if data.validation_x is not None and data.validation_y is not None:
        return data.train_x, data.train_y, data.validation_x, data.validation_y
    fit, held = validation_split(data.train_y, seed)
    if held.size == 0:
        raise UserError(
            f"train_y: every class has a single member, so {parameter} cannot be chosen on a validation "
            "split; expected two members in some class, or a grid of one value"
        )
    return data.train_x[fit], data.train_y[fit], data.train_x[held], data.train_y[held]


def _standardise(
    train: NDArray[np.floating], other: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both with the training mean and deviation; a constant feature stays finite."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train.astype(np.float64))
    return scaler.transform(train.astype(np.float64)), scaler.transform(other.astype(np.float64))


def _fit_predict(
    classifier: Any, x: NDArray[np.float64], y: NDArray[np.integer], other: NDArray[np.float64]
) -> tuple[NDArray[np.integer], int]:
    """Predicted labels of ``other``, and 1 if the fit stopped at its iteration limit, else 0."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.fit(x, y)
    stopped = False
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            stopped = True
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return classifier.predict(other), int(stopped)


def _check_part(part: str, x: NDArray[np.floating], y: NDArray[np.integer]) -> None:
    if x.ndim != 2 or y.ndim != 1:
        raise UserError(f"{part}_x {x.shape}, {part}_y {y.shape}: expected (N, D) features and (N,) labels")
    if len(x) != len(y) or len(x) == 0:
        raise UserError(f"{part}_y: {len(y)} labels for {len(x)} rows of {part}_x; expected one a row, and some rows")
    if not np.issubdtype(y.dtype, np.integer):
        raise UserError(f"{part}_y: labels of type {y.dtype}; expected integers")
    bad = int((~np.isfinite(x).all(axis=1)).sum())
    if bad:
        raise UserError(f"{part}_x: NaN or infinite features in {bad} of {len(x)} rows; expected finite features")
    if (y < 0).any():
        raise UserError(f"{part}_y: {int((y < 0).sum())} rows have a negative label, which means none; leave them out")
