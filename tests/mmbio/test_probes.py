"""Probes: closed forms, data that can be read and data that cannot, missing labels."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_mmbio import random_proteins

import mmbio.residue_probe
from core.errors import UserError
from mmbio.config import ResidueProbeConfig
from mmbio.data.sets import LabelledSequences, Task
from mmbio.probes import Ridge, probe_binary, probe_classes, probe_values, standardised
from mmbio.residue_features import Around, Letters, ResidueFeatures
from mmbio.residue_probe import probe_residues

N = 60


def labelled(task: Task, labels: object, classes: tuple[str, ...]) -> LabelledSequences:
    texts = tuple(random_proteins(N, shortest=20, longest=30))
    parts = np.arange(40), np.arange(40, 50), np.arange(50, N)
    return LabelledSequences("some", "protein", texts, task, labels, *parts, classes)  # type: ignore[arg-type]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(30, 5), (8, 20)])
def test_ridge_is_its_closed_form(shape: tuple[int, int]) -> None:
    x, y = noise(*shape).astype(np.float64), noise(shape[0] + 1).astype(np.float64)[1:]
    fitted = Ridge(x, y)
    for alpha in (0.1, 10.0):
        centred = x - x.mean(0)
        weights = np.linalg.solve(centred.T @ centred + alpha * np.eye(shape[1]), centred.T @ (y - y.mean()))
        np.testing.assert_allclose(fitted.predict(x, alpha), centred @ weights + y.mean(), rtol=1e-6)


def test_values_of_a_linear_function() -> None:
    x = noise(N, 8)
    y = np.stack([x @ np.arange(8) + 3, -x[:, 0] * 100], 1).astype(np.float64)
    y[:5, 0] = np.nan
    y[55, 1] = np.nan
    scores = probe_values(x, labelled("values", y, ("a", "b")))
    assert scores["Spearman"] == pytest.approx(1)
    assert scores["RMSE"] < 0.1
    assert abs(probe_values(noise(N, 3)[::-1], labelled("values", y, ("a", "b")))["Spearman"]) < 0.7


def test_a_part_without_a_label() -> None:
    y = noise(N, 1).astype(np.float64)
    y[50:] = np.nan
    with pytest.raises(UserError, match="fitness has no label in one of"):
        probe_values(noise(N, 3), labelled("values", y, ("fitness",)))


def test_classes_by_all_methods() -> None:
    y = np.arange(N) % 3
    x = noise(N, 4) * 0.1
    x[np.arange(N), y] += 1
    for method in ("logistic", "linear_svm", "knn"):
        assert probe_classes(x, labelled("classes", y, ("a", "b", "c")), method, 0)["accuracy"] == 1


def test_binary_leaves_out_what_is_missing() -> None:
    x = noise(N, 4)
    y = np.stack([x[:, 0] > 0, x[:, 1] > 0, np.ones(N), x[:, 3] > 0], 1).astype(np.float64)
    y[np.random.default_rng(1).random(y.shape) < 0.2] = np.nan
    y[40:50, 1] = np.nan  # no validation label: the strongest penalty
    y[50:, 3] = np.nan  # no test label: not scored
    data = labelled("binary", y, tuple("abcd"))
    assert probe_binary(x, data)["ROC-AUC"] > 0.9
    with pytest.raises(UserError, match="no task has both classes"):
        probe_binary(x, dataclasses.replace(data, labels=np.ones((N, 4))))


def test_standardised_by_the_training_part() -> None:
    x = noise(N, 4)
    x[:, 2] = 7
    x[50:] *= 100
    found = standardised(x, labelled("classes", np.zeros(N, int), ("a",)))
    assert found.shape == (N, 3)
    np.testing.assert_allclose(found[:40].std(0), 1, rtol=1e-4)
    x[0, 0] = np.nan
    with pytest.raises(UserError, match="NaN or infinite"):
        standardised(x, labelled("classes", np.zeros(N, int), ("a",)))


def residues(classes: int = 3) -> LabelledSequences:
    """The class of a residue is what its left neighbour is."""
    texts = random_proteins(N, shortest=20, longest=30)
    labels = [np.array([-1, *(ord(letter) % classes for letter in text[:-1])]) for text in texts]
    data = labelled("residues", tuple(labels), tuple("abcd"[:classes]))
    return data


def test_residues_are_read_from_their_window() -> None:
    data, config = residues(), ResidueProbeConfig(epochs=8, batch_size=16, lr=0.02)
    near = probe_residues(Around(Letters(data.texts), 3), data, config, 0)
    alone = probe_residues(Around(Letters(data.texts), 1), data, config, 0)
    assert near["accuracy"] > 0.99
    assert alone["accuracy"] < 0.8
    assert near == probe_residues(Around(Letters(data.texts), 3), data, config, 0)


def test_chunks_change_the_order_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmbio.residue_probe, "CHUNK", 50)
    data = residues()
    scores = probe_residues(
        Around(Letters(data.texts), 3), data, ResidueProbeConfig(epochs=8, batch_size=16, lr=0.02), 0
    )
    assert scores["accuracy"] > 0.99


def test_windows_of_stored_features_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmbio.residue_probe, "VALUES", 2000)  # 23 residues at a time
    data, config = residues(), ResidueProbeConfig(epochs=8, batch_size=16, lr=0.02)
    letters = Letters(data.texts)
    stored = ResidueFeatures([letters.length(i) for i in range(len(data.texts))], letters.width)
    for i in range(len(data.texts)):
        stored.of(i)[:] = letters.rows([i]).half().numpy()
    torch.testing.assert_close(Around(stored, 3).rows([4, 2]), Around(letters, 3).rows([4, 2]))
    stored.standardise(data.train.tolist())
    assert probe_residues(Around(stored, 3), data, config, 0)["accuracy"] > 0.99
    assert probe_residues(stored, data, config, 0)["accuracy"] < 0.8


def test_two_classes_have_more_scores() -> None:
    data = residues(2)
    scores = probe_residues(
        Around(Letters(data.texts), 3), data, ResidueProbeConfig(epochs=5, batch_size=16, lr=0.02), 0
    )
    assert list(scores) == ["accuracy", "MCC", "average precision"]
    assert min(scores.values()) > 0.95


def test_residues_without_labels() -> None:
    data = residues()
    none = tuple(np.full(len(text), -1) for text in data.texts)
    with pytest.raises(UserError, match="without any residue"):
        probe_residues(Around(Letters(data.texts), 1), dataclasses.replace(data, labels=none), ResidueProbeConfig(), 0)
    one = tuple(np.zeros(len(text), int) for text in data.texts)
    with pytest.raises(UserError, match="have one class"):
        probe_residues(Around(Letters(data.texts), 1), dataclasses.replace(data, labels=one), ResidueProbeConfig(), 0)


def test_bits_and_chunks_are_standardised_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    bits = (rng.random((90, 40)) < 0.3).astype(np.uint8)
    bits[:, 3] = 1
    data = SimpleNamespace(name="x", train=np.arange(0, 90, 2))
    floats = bits.astype(np.float64)
    mean, deviation = floats[data.train].mean(0), floats[data.train].std(0)
    kept = deviation > 1e-6
    expected = (floats[:, kept] - mean[kept]) / deviation[kept]
    for rows in (7, 10_000):
        monkeypatch.setattr("mmbio.probes.ROWS", rows)
        for given in (bits, bits.astype(np.float32)):
            found = standardised(given, data)  # type: ignore[arg-type]
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=1e-5)
