from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.evaluation.probes import (
    C_GRID,
    K_GRID,
    METHODS,
    ProbeData,
    knn,
    linear_svm,
    logistic,
    probe,
    probe_table,
    validation_split,
)


def clusters(seed: int, noise: float, classes: int = 4, count: int = 160, width: int = 12) -> ProbeData:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(classes, width)) * 3
    labels = np.arange(2 * count) % classes
    features = centres[labels] + noise * generator.normal(size=(2 * count, width))
    return ProbeData(features[:count], labels[:count], features[count:], labels[count:])


@pytest.mark.parametrize("name", list(METHODS))
def test_separable_clusters_are_read_without_error(name: str) -> None:
    result = METHODS[name](clusters(0, 0.05), 0)
    assert result.accuracy == result.mean_class_accuracy == result.validation_accuracy == 1.0
    assert (result.method, result.seed, result.not_converged, result.unseen_labels) == (name, 0, 0, 0)


@pytest.mark.parametrize("name", list(METHODS))
def test_random_labels_give_chance(name: str) -> None:
    data = clusters(1, 1.0, count=400)
    generator = np.random.default_rng(3)
    random = ProbeData(data.train_x, generator.integers(0, 4, 400), data.test_x, generator.integers(0, 4, 400))
    assert abs(METHODS[name](random, 0).accuracy - 0.25) < 0.1  # more than four deviations of 400 fair guesses


@pytest.mark.parametrize("name", list(METHODS))
def test_a_seed_gives_the_same_result_twice(name: str) -> None:
    data = clusters(2, 4.0)
    assert METHODS[name](data, 5) == METHODS[name](data, 5)


def test_seeds_draw_different_validation_splits() -> None:
    labels = np.arange(60) % 3
    assert validation_split(labels, 0)[1].tolist() != validation_split(labels, 1)[1].tolist()


@pytest.mark.parametrize("name", list(METHODS))
def test_test_labels_and_features_never_choose(name: str) -> None:
    data = clusters(4, 5.0)
    generator = np.random.default_rng(0)
    result = METHODS[name](data, 1)
    for test_x, test_y in (
        (data.test_x, generator.permutation(data.test_y)),
        (data.test_x * 100 - 7, data.test_y),
    ):
        other = METHODS[name](ProbeData(data.train_x, data.train_y, test_x, test_y), 1)
        assert (other.value, other.validation_accuracy) == (result.value, result.validation_accuracy)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(0, 5))
def test_validation_split_is_stratified(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    fit, held = validation_split(labels, seed)
    assert sorted([*fit, *held]) == list(range(len(labels)))
    for label, size in enumerate(sizes):
        expected = 0 if size == 1 else min(max(1, round(0.2 * size)), size - 1)
        assert (labels[held] == label).sum() == expected
        assert (labels[fit] == label).sum() >= 1


def test_scale_of_a_feature_does_not_matter() -> None:
    data = clusters(5, 3.0)
    scale, shift = np.logspace(-3, 3, 12), np.linspace(-50, 50, 12)
    moved = ProbeData(data.train_x * scale + shift, data.train_y, data.test_x * scale + shift, data.test_y)
    for method in (logistic, knn):
        assert method(moved, 0).accuracy == pytest.approx(method(data, 0).accuracy, abs=0.02)


def test_logistic_is_sklearns_with_the_chosen_c() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = clusters(6, 5.0)
    result = logistic(data, 0)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=result.value, max_iter=500))
    theirs.fit(data.train_x, data.train_y)
    assert result.accuracy == pytest.approx(theirs.score(data.test_x, data.test_y))


def test_single_members_stay_in_the_fitted_part_and_can_be_found() -> None:
    data = clusters(7, 0.01, classes=3, count=30)
    train_x = np.concatenate([data.train_x, data.train_x[:1] + 40.0])
    rare = ProbeData(train_x, np.append(data.train_y, 3), train_x[-1:], np.array([3]))
    assert linear_svm(rare, 0, grid=(1.0,)).accuracy == 1.0
    assert knn(rare, 0, grid=(1,)).accuracy == 1.0


def test_every_class_once_needs_a_grid_of_one_value() -> None:
    x, y = np.eye(4), np.arange(4)
    data = ProbeData(x, y, x, y)
    with pytest.raises(UserError, match="single member"):
        linear_svm(data, 0)
    result = linear_svm(data, 0, grid=(1.0,))
    assert result.value == 1.0
    assert np.isnan(result.validation_accuracy)
    assert knn(data, 0, grid=(1,)).accuracy == 1.0
    with pytest.raises(UserError, match="more than the 4"):
        knn(data, 0, grid=(5,))


def test_unseen_labels_are_counted_as_errors() -> None:
    data = clusters(8, 0.05)
    labels = data.test_y.copy()
    labels[:40] = 17
    result = linear_svm(ProbeData(data.train_x, data.train_y, data.test_x, labels), 0)
    assert result.unseen_labels == 40
    assert result.accuracy == pytest.approx(1 - 40 / len(labels))


def test_constant_features_are_harmless() -> None:
    data = clusters(9, 0.05)
    train_x, test_x = (np.column_stack([x, np.full(len(x), 3.0)]) for x in (data.train_x, data.test_x))
    assert linear_svm(ProbeData(train_x, data.train_y, test_x, data.test_y), 0).accuracy == 1.0


def test_fits_that_stop_early_are_counted_and_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import LogisticRegression

    original = LogisticRegression.fit

    def two_steps(self: LogisticRegression, x: object, y: object) -> object:
        self.max_iter = 2
        return original(self, x, y)

    monkeypatch.setattr(LogisticRegression, "fit", two_steps)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = logistic(clusters(10, 6.0), 0, grid=(0.1, 1.0))
    assert result.not_converged == 3  # two candidates and the final fit


def test_input_errors_name_the_array() -> None:
    good = clusters(11, 1.0)
    bad = good.test_x.copy()
    bad[[2, 5], 0] = np.nan, np.inf
    minus = good.train_y.copy()
    minus[:3] = -1
    cases = (
        ((good.train_x, good.train_y, bad, good.test_y), "test_x: NaN or infinite features in 2 of 160 rows"),
        (
            (good.train_x, good.train_y, good.test_x[:, :5], good.test_y),
            "test_x: 5 features a row; expected 12",
        ),
        ((good.train_x, good.train_y * 0, good.test_x, good.test_y), "at least two classes"),
        ((good.train_x, good.train_y[:9], good.test_x, good.test_y), "train_y: 9 labels for 160 rows"),
        ((good.train_x, minus, good.test_x, good.test_y), "train_y: 3 rows have a negative label"),
        ((good.train_x, good.train_y * 1.0, good.test_x, good.test_y), "expected integers"),
        ((good.train_x, good.train_y, good.test_x[:0], good.test_y[:0]), "some rows"),
        ((good.train_x[0], good.train_y, good.test_x, good.test_y), r"expected \(N, D\)"),
    )
    for arrays, message in cases:
        with pytest.raises(UserError, match=message):
            ProbeData(*arrays)


def test_probe_runs_every_method_and_seed_and_prints_a_table() -> None:
    results = probe(clusters(12, 0.05), ("logistic", "knn"), (0, 1))
    assert {name: [run.seed for run in runs] for name, runs in results.items()} == {
        "logistic": [0, 1],
        "knn": [0, 1],
    }
    table = probe_table(results)
    assert "1.000 ± 0.000" in table.text()
    assert "k = 1" in table.text()
    with pytest.raises(UserError, match="forest: no such probe; expected one of linear_svm"):
        probe(clusters(12, 0.05), ("forest",))


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, core.evaluation.probes, core.evaluation.metrics, core.reporting.page, "
        "core.reporting.curves, core.reporting.embedding, mm3d.pictures; "
        "print([m for m in ('sklearn', 'matplotlib', 'plotly', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


GRIDS = {"linear_svm": C_GRID, "logistic": C_GRID, "knn": K_GRID}


@pytest.mark.parametrize("name", list(METHODS))
def test_a_validation_part_of_its_own_chooses(name: str) -> None:
    given, other = clusters(2, 4.0), clusters(2, 4.0, count=40)
    parts = (given.train_x, given.train_y, given.test_x, given.test_y)
    whole = ProbeData(*parts, other.test_x, other.test_y)
    result = METHODS[name](whole, 0)
    assert dataclasses.replace(METHODS[name](whole, 9), seed=0) == result  # nothing depends on the seed
    fit: Any = METHODS[name]  # with a grid of one value
    scores = [fit(ProbeData(*parts[:2], other.test_x, other.test_y), 0, (value,)).accuracy for value in GRIDS[name]]
    assert result.validation_accuracy == max(scores)
    assert result.value == GRIDS[name][int(np.argmax(scores))]
    assert (
        result.accuracy == fit(ProbeData(*parts), 0, (int(result.value) if name == "knn" else result.value,)).accuracy
    )


def test_a_validation_part_has_to_fit() -> None:
    given = clusters(0, 1.0)
    parts = (given.train_x, given.train_y, given.test_x, given.test_y)
    with pytest.raises(UserError, match="validation_x: 3 features a row; expected 12"):
        ProbeData(*parts, given.test_x[:, :3], given.test_y)
    with pytest.raises(ValueError, match="expected both or none"):
        ProbeData(*parts, given.test_x)
