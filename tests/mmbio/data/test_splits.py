"""Parts that data names, and parts that are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from mmbio.data.splits import complete, drawn, part_named


@given(st.lists(st.integers(0, 12), min_size=1, max_size=80), st.floats(0.05, 0.5), st.integers(0, 3))
def test_groups_are_not_parted(groups: list[int], share: float, seed: int) -> None:
    chosen = set(drawn(groups, share, seed).tolist())
    taken = {groups[i] for i in chosen}
    assert chosen == {i for i, group in enumerate(groups) if group in taken}
    assert len(chosen) <= 1.5 * max(1, round(share * len(groups)))
    assert drawn(groups, share, seed).tolist() == sorted(chosen)


def test_named_parts_stay() -> None:
    named = ["train", "test", "train", "validation", "train"]
    parts = complete(named, list("abcde"))
    assert [part.tolist() for part in parts] == [[0, 2, 4], [3], [1]]


def test_what_is_not_named_is_drawn_from_training() -> None:
    parts = complete(["train"] * 90 + ["test"] * 10, [str(i) for i in range(100)])
    assert parts.test.tolist() == list(range(90, 100))
    assert len(parts.validation) == 9
    assert set(parts.validation.tolist()) < set(range(90))
    parts = complete(["train"] * 100, [str(i) for i in range(100)])
    assert [len(part) for part in parts] == [81, 9, 10]
    assert np.unique(np.concatenate(parts)).tolist() == list(range(100))


def test_words() -> None:
    assert [part_named(word, "") for word in ("Train", "VALID", "val", "dev", "Test")] == [
        "train",
        *["validation"] * 3,
        "test",
    ]
    with pytest.raises(UserError, match=r"a.csv, line 3: part 'holdout'; expected train"):
        part_named("holdout", "a.csv, line 3")
