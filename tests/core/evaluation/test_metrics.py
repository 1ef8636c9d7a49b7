from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.evaluation import metrics


def test_accuracy_by_hand() -> None:
    assert metrics.accuracy([0, 1, 1, 2], [0, 1, 2, 2]) == 0.75
    # class 0: 1/1, class 1: 1/1, class 2: 1/2
    assert metrics.mean_class_accuracy([0, 1, 1, 2], [0, 1, 2, 2]) == pytest.approx(2.5 / 3)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_class_accuracy_is_sklearns_balanced_accuracy(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import recall_score

    predicted, expected = np.array(pairs).T
    labels = np.unique(expected)
    theirs = recall_score(expected, predicted, labels=labels, average="macro", zero_division=0)
    assert metrics.mean_class_accuracy(predicted, expected) == pytest.approx(theirs)


def test_shapes_that_differ_are_refused() -> None:
    for function in (metrics.accuracy, metrics.mean_class_accuracy, metrics.rmse, metrics.spearman):
        with pytest.raises(ValueError, match="expected"):
            function([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="N > 0"):
        metrics.accuracy([], [])


def test_rmse_leaves_out_missing_targets() -> None:
    assert metrics.rmse([1.0, 5.0, 9.0], [1.0, 2.0, math.nan]) == pytest.approx(math.sqrt(4.5))
    with pytest.raises(UserError, match="every label is missing"):
        metrics.rmse([1.0], [math.nan])


def test_spearman_is_scipys_with_ties() -> None:
    from scipy.stats import spearmanr

    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 6, 50), generator.integers(0, 6, 50)
    assert metrics.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    missing = b.astype(float)
    missing[::5] = math.nan
    has = ~np.isnan(missing)
    assert metrics.spearman(a, missing) == pytest.approx(spearmanr(a[has], b[has]).statistic)
    assert metrics.spearman([1, 2, 3], [10, 100, 1000]) == pytest.approx(1.0)
    assert math.isnan(metrics.spearman([1, 1, 1], [1, 2, 3]))


def test_ranking_scores_are_sklearns_per_task_and_masked() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    generator = np.random.default_rng(1)
    scores = generator.random((40, 3))
    targets = (generator.random((40, 3)) < 0.4).astype(float)
    targets[generator.random((40, 3)) < 0.3] = math.nan
    targets[:, 2] = np.where(np.isnan(targets[:, 2]), math.nan, 1.0)  # one class only: no curve
    pairs = ((metrics.roc_auc, roc_auc_score), (metrics.average_precision, average_precision_score))
    for ours, theirs in pairs:
        expected = []
        for task in (0, 1):
            has = ~np.isnan(targets[:, task])
            expected.append(theirs(targets[has, task], scores[has, task]))
        assert ours(scores, targets) == pytest.approx(np.mean(expected))
        assert ours(scores[:, 0], targets[:, 0]) == pytest.approx(expected[0])
        with pytest.raises(UserError, match="no task has both"):
            ours(scores[:, 2], targets[:, 2])
        with pytest.raises(ValueError, match="other than 0, 1"):
            ours([0.1, 0.2], [1, 2])
        with pytest.raises(ValueError, match="not finite"):
            ours([0.1, math.nan], [1, 0])


def test_roc_auc_by_hand() -> None:
    # of the four pairs (positive, negative) three are in order
    assert metrics.roc_auc([0.9, 0.4, 0.5, 0.1], [1, 1, 0, 0]) == pytest.approx(0.75)


def test_mean_std_divides_by_n() -> None:
    result = metrics.mean_std([1.0, 3.0])
    assert (result.mean, result.std, result.count) == (2.0, 1.0, 2)
    assert str(result) == "2.000 ± 1.000"
    assert str(metrics.mean_std([0.5])) == "0.500"
    with pytest.raises(ValueError, match="no values"):
        metrics.mean_std([])


def test_part_miou_by_hand() -> None:
    # Class 0 has parts 0, 1; class 1 has parts 2, 3, 4.
    predictions = [np.array([0, 0, 1, 1]), np.array([0, 0]), np.array([2, 2, 3, 9])]
    targets = [np.array([0, 1, 1, 1]), np.array([0, 0]), np.array([2, 2, 2, -1])]
    # shape 0: part 0: 1/2, part 1: 2/3. shape 1: part 0: 1, part 1 absent from both: 1.
    # shape 2 (the unlabelled point left out): part 2: 2/3, part 3: 0/1, part 4 absent from both: 1.
    first, second, third = 7 / 12, 1.0, 5 / 9
    result = metrics.part_miou(predictions, targets, [0, 0, 1], [(0, 1), (2, 3, 4)])
    assert result.instance == pytest.approx((first + second + third) / 3)
    assert result.per_group == pytest.approx({0: (first + second) / 2, 1: third})
    assert result.group == pytest.approx(((first + second) / 2 + third) / 2)


def test_part_miou_names_the_shape_at_fault() -> None:
    with pytest.raises(UserError, match="shape 1: part 5 is no part of class 0"):
        metrics.part_miou([np.zeros(2, int)] * 2, [np.zeros(2, int), np.full(2, 5)], [0, 0], [(0, 1)])
    with pytest.raises(UserError, match="shape 0: no point"):
        metrics.part_miou([np.zeros(2, int)], [np.full(2, -1)], [0], [(0, 1)])
    with pytest.raises(ValueError, match="shape 0"):
        metrics.part_miou([np.zeros(3, int)], [np.zeros(2, int)], [0], [(0, 1)])


def test_part_miou_without_classes_is_sklearns_jaccard() -> None:
    from sklearn.metrics import jaccard_score

    generator = np.random.default_rng(2)
    targets = [generator.integers(0, 5, n) for n in (30, 50, 20)]
    predictions = [np.where(generator.random(len(t)) < 0.7, t, generator.integers(0, 5, len(t))) for t in targets]
    result = metrics.part_miou_without_classes(predictions, targets)
    per_shape = [jaccard_score(t, p, average="macro") for t, p in zip(targets, predictions, strict=True)]
    pooled = jaccard_score(np.concatenate(targets), np.concatenate(predictions), average=None)
    assert result.instance == pytest.approx(np.mean(per_shape))
    assert list(result.per_group.values()) == pytest.approx(list(pooled))
    assert result.group == pytest.approx(pooled.mean())


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_mcc_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import matthews_corrcoef

    predicted, expected = zip(*pairs, strict=True)
    assert metrics.mcc(predicted, expected) == pytest.approx(matthews_corrcoef(expected, predicted), abs=1e-12)


def test_mcc_by_hand() -> None:
    assert metrics.mcc([0, 1, 1, 0], [0, 1, 1, 0]) == pytest.approx(1)
    assert metrics.mcc([1, 0, 0, 1], [0, 1, 1, 0]) == pytest.approx(-1)
    assert metrics.mcc([0, 0, 0, 0], [0, 1, 1, 0]) == 0  # says nothing
    # 3 true positives, 4 true negatives, 2 false positives, 1 false negative: (12 - 2) / sqrt(5 * 4 * 6 * 5)
    predicted, expected = [1] * 3 + [0] * 4 + [1] * 2 + [0], [1] * 3 + [0] * 4 + [0] * 2 + [1]
    assert metrics.mcc(predicted, expected) == pytest.approx(10 / 600**0.5)
