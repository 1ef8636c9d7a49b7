from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from mm3d.data.splits import few_shot_episode, train_val_split


@given(st.lists(st.integers(-1, 4), max_size=60), st.floats(0.05, 0.95), st.integers(0, 99))
def test_split_is_a_stratified_partition(values: list[int], fraction: float, seed: int) -> None:
    labels = np.array(values, dtype=np.int64)
    train, val = train_val_split(labels, fraction, seed)
    assert sorted([*train, *val]) == list(range(len(labels)))
    assert train.tolist() == sorted(train)
    assert val.tolist() == sorted(val)
    for label in set(values):
        total, held = values.count(label), int((labels[val] == label).sum())
        if total == 1:
            assert held == 0
        else:
            assert 1 <= held <= total - 1
            assert abs(held - fraction * total) <= 1
    again = train_val_split(labels, fraction, seed)
    assert np.array_equal(again[1], val)


def test_split_depends_on_the_seed() -> None:
    labels = np.zeros(100, int)
    assert not np.array_equal(train_val_split(labels, 0.3, 0)[1], train_val_split(labels, 0.3, 1)[1])
    for fraction in (0, 1, -0.5):
        with pytest.raises(ValueError, match="fraction"):
            train_val_split(labels, fraction, 0)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_episode(ways: int, shots: int, queries: int, seed: int) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([-1, 0, 1, 2, 3, 4, 5], [30, 8, 8, 8, 9, 8, 1]))
    episode = few_shot_episode(labels, ways, shots, queries, seed)
    assert len(set(episode.classes.tolist())) == ways
    assert not set(episode.classes.tolist()) & {-1, 5}
    assert np.array_equal(labels[episode.support], np.repeat(episode.classes, shots))
    assert np.array_equal(labels[episode.query], np.repeat(episode.classes, queries))
    everything = [*episode.support, *episode.query]
    assert len(set(everything)) == ways * (shots + queries)
    again = few_shot_episode(labels, ways, shots, queries, seed)
    assert all(np.array_equal(a, b) for a, b in zip(episode, again, strict=True))


def test_episodes_differ_and_errors_say_why() -> None:
    labels = np.repeat(np.arange(10), 30)
    assert len({tuple(few_shot_episode(labels, 5, 10, 20, seed).support) for seed in range(10)}) == 10
    with pytest.raises(UserError, match=r"0 of 10 classes have 20 \+ 20 samples; expected 5"):
        few_shot_episode(labels, 5, 20, 20)
    with pytest.raises(ValueError, match="at least 1"):
        few_shot_episode(labels, 0, 1)
