"""Windows of sequences that are too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmbio.windows import windows


@given(st.integers(1, 400), st.integers(1, 60))
def test_every_token_is_spoken_for_once(length: int, longest: int) -> None:
    found = windows(length, longest)
    assert [token for w in found for token in range(w.first, w.last)] == list(range(length))
    for window in found:
        assert 0 <= window.begin <= window.first <= window.last <= window.end <= length
        assert window.end - window.begin == min(length, longest)


@given(st.integers(20, 400), st.integers(20, 60))
def test_there_is_a_quarter_of_a_window_around(length: int, longest: int) -> None:
    for window in windows(length, longest):
        assert window.begin == 0 or window.first - window.begin >= longest // 4 - 1
        assert window.end == length or window.end - window.last >= longest // 4 - 1


def test_by_hand() -> None:
    assert windows(5, None) == windows(5, 5) == [(0, 5, 0, 5)]
    assert windows(8, 4) == [(0, 4, 0, 3), (2, 6, 3, 5), (4, 8, 5, 8)]
    with pytest.raises(ValueError, match="windows of 0"):
        windows(3, 0)
