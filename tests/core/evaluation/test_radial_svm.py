"""The cross-validated SVM against scikit-learn's own search."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.radial_svm import cross_validated_svm

GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_the_grid_search_of_scikit_learn(classes: int, dtype: type) -> None:
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import SVC

    rng = np.random.default_rng(classes)
    y = rng.integers(0, classes, 150)
    x = (rng.standard_normal((150, 40)) + 0.4 * y[:, None] + 3).astype(dtype)
    expected = []
    for train, test in StratifiedKFold(10, shuffle=True, random_state=1).split(x, y):
        search = GridSearchCV(SVC(random_state=42), {"C": list(GRID)}, cv=5, scoring="accuracy")
        expected.append(search.fit(x[train], y[train]).score(x[test], y[test]))
    found = cross_validated_svm(x, y, 10, GRID, 1)
    assert found.tolist() == expected
    assert len(set(expected)) > 1


def test_features_that_are_all_equal_say_nothing() -> None:
    y = np.repeat([0, 1], [30, 20])
    assert cross_validated_svm(np.ones((50, 4)), y, 5, GRID, 0).tolist() == [0.6] * 5
