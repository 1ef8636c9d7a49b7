"""Index arithmetic over labels: stratified validation split and n-way k-shot episodes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.errors import UserError


def train_val_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(M,) labels -> sorted int64 indices (train, val), disjoint and complete, stratified by label.

    Every label with n >= 2 samples gives round(fraction * n) of them (half up) to val, at least 1 and at
    most n - 1; one with a single sample gives it to train. -1 (no label) counts as a label of its own.
    ValueError unless 0 < fraction < 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}; expected between 0 and 1")
    labels = np.asarray(labels)
    generator = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        take = min(max(int(fraction * len(members) + 0.5), 1), len(members) - 1)
        chosen.append(members[:take])
    val = np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)
    return np.setdiff1d(np.arange(len(labels)), val), val


class Episode(NamedTuple):
    """One n-way k-shot task; indices are grouped by class, in the order of ``classes``."""

    classes: np.ndarray  # (ways,) class ids
    support: np.ndarray  # (ways * shots,) indices
    query: np.ndarray  # (ways * queries,) indices


def few_shot_episode(labels: np.ndarray, ways: int, shots: int, queries: int = 20, seed: int = 0) -> Episode:
    """``ways`` random classes, ``shots`` training and ``queries`` test samples of each; one episode a seed.

    The published protocol is 10 episodes (seeds) with 20 queries, mean and std over them. Support and query
    are disjoint. Classes with fewer than shots + queries samples, and label -1, are left out. UserError if
    fewer than ``ways`` classes remain; ValueError for counts below 1.
    """
    if min(ways, shots, queries) < 1:
        raise ValueError(f"{ways} ways, {shots} shots, {queries} queries; expected at least 1 of each")
    labels = np.asarray(labels)
    ids, counts = np.unique(labels[labels >= 0], return_counts=True)
    eligible = ids[counts >= shots + queries]
    if len(eligible) < ways:
        raise UserError(
            f"few-shot: {len(eligible)} of {len(ids)} classes have {shots} + {queries} samples; expected {ways}"
        )
    generator = np.random.default_rng(seed)
    classes = generator.choice(eligible, ways, replace=False)
    rows = [generator.permutation(np.flatnonzero(labels == c))[: shots + queries] for c in classes]
    support = np.concatenate([row[:shots] for row in rows])
    return Episode(classes, support, np.concatenate([row[shots:] for row in rows]))
