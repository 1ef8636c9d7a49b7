"""Edges once, and in both directions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from mmgraph.data.edges import both_ways, distinct

Edges = st.sampled_from([np.int32, np.int64]).flatmap(
    lambda dtype: hnp.arrays(dtype, st.tuples(st.just(2), st.integers(0, 30)), elements=st.integers(-3, 6))
)


@given(Edges)
def test_distinct_is_the_sorted_set(edges: NDArray[np.integer]) -> None:
    found = distinct(edges)
    assert found.dtype == np.int64
    assert list(map(tuple, found.T)) == sorted(set(map(tuple, edges.T)))


@given(Edges)
def test_both_ways_has_each_direction_once_and_no_loop(edges: NDArray[np.integer]) -> None:
    edges = abs(edges)
    found = both_ways(edges, 7)
    pairs = {(a, b) for a, b in edges.T if a != b}
    assert list(map(tuple, found.T)) == sorted(pairs | {(b, a) for a, b in pairs})
