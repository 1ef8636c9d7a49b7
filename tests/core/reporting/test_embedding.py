from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from core.reporting.embedding import TSNE_LIMIT, plane, plot_embedding


def features(count: int, width: int = 8) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 3
    return generator.normal(size=(3, width))[labels] * 6 + generator.normal(size=(count, width)), labels


def test_tsne_is_seeded_and_keeps_clusters_apart() -> None:
    x, labels = features(90)
    flat, method = plane(x, seed=1)
    assert method == "t-SNE"
    assert flat.shape == (90, 2)
    assert np.array_equal(flat, plane(x, seed=1)[0])
    distances = np.linalg.norm(flat[:, None] - flat, axis=2) + np.diag(np.full(90, np.inf))
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.95


@pytest.mark.parametrize("count", [2, 9, TSNE_LIMIT + 1])
def test_few_and_many_samples_keep_principal_directions(count: int) -> None:
    x, _ = features(count, width=3)
    flat, method = plane(x)
    assert method == "PCA"
    standardised = (x - x.mean(0)) / x.std(0)
    variance = np.sort(np.linalg.eigvalsh(standardised.T @ standardised))[::-1]
    assert (flat**2).sum(axis=0) == pytest.approx(variance[:2], rel=1e-6, abs=1e-6)


def test_one_constant_feature() -> None:
    assert np.isfinite(plane(np.ones((20, 1)))[0]).all()


def test_picture(tmp_path: Path) -> None:
    from matplotlib.image import imread

    x, labels = features(40)
    labels[:5] = -1
    image = imread(plot_embedding(x, labels, ("a", "b$", "_c"), tmp_path / "e.png"))
    assert image.shape == (744, round(8.7 * 120), 4)
    assert len(np.unique(image.reshape(-1, 4), axis=0)) > 20


def test_errors() -> None:
    x, labels = features(20)
    broken = x.copy()
    broken[3] = np.nan
    with pytest.raises(UserError, match="in 1 of 20 rows"):
        plot_embedding(broken, labels, ("a", "b", "c"), "never.png")
    with pytest.raises(UserError, match="2 is outside the 2 classes"):
        plot_embedding(x, labels, ("a", "b"), "never.png")
    with pytest.raises(UserError, match="expected one for each of the 20"):
        plot_embedding(x, labels[:4], ("a", "b", "c"), "never.png")
    with pytest.raises(UserError, match="at least two rows"):
        plane(x[:1])
