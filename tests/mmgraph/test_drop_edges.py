"""Dropped edges: each direction for itself, one self-loop at every node, and patterns that are not sorted anew."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgraph.drop_edges import drop_edges, kept_edges
from mmgraph.graph import Graphs, join
from mmgraph.ops import Pattern


def graph(seed: int, nodes: int = 9, edges: int = 40) -> Graphs:
    source = torch.Generator().manual_seed(seed)
    return Graphs(torch.randn(nodes, 3, generator=source), torch.randint(nodes - 1, (2, edges), generator=source))


def test_draws() -> None:
    edges = graph(0, edges=20_000).edge_index
    kept = drop_edges(edges, 0.3, torch.Generator().manual_seed(1))
    assert kept.shape == (20_000,)
    assert float(kept.double().mean()) == pytest.approx(0.7, abs=0.02)
    assert torch.equal(kept, drop_edges(edges, 0.3, [torch.Generator().manual_seed(1), torch.Generator()]))
    state = torch.get_rng_state()
    assert drop_edges(edges, 0.0).all()
    assert torch.equal(state, torch.get_rng_state())
    with pytest.raises(ValueError, match="dropped edges"):
        drop_edges(edges, 1.0)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 99), st.sampled_from([0.0, 0.3, 0.9]))
def test_kept_edges_and_one_loop_a_node(seed: int, ratio: float) -> None:
    graphs = graph(seed)
    before = graphs.edge_index.clone()
    kept = drop_edges(graphs, ratio, torch.Generator().manual_seed(seed))
    pattern = kept_edges(graphs, kept)
    expected = torch.zeros(9, 9, dtype=torch.long)
    for source, target in graphs.edge_index[:, kept].t().tolist():
        expected[target, source] += source != target
    expected += torch.eye(9, dtype=torch.long)
    made = torch.zeros_like(expected)
    made.index_put_((pattern.row, pattern.column), torch.ones(len(pattern.column), dtype=torch.long), accumulate=True)
    assert torch.equal(made, expected)
    assert torch.equal(graphs.edge_index, before)
    assert kept_edges(graphs, None) is graphs.edges


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 99), st.sampled_from([1, 2, 3]))
def test_columns_are_sorted_by_counting(seed: int, heads: int) -> None:
    graphs = graph(seed)
    keep = torch.rand(len(graphs.edges.column), generator=torch.Generator().manual_seed(seed)) < 0.6
    for pattern in (graphs.edges, graphs.edges.of_entries(keep), graphs.edges.of_rows(torch.tensor([1, 4, 8]))):
        ours = pattern.of_heads(heads)
        plain = Pattern(ours.start, ours.column, ours.columns)
        for a, b in zip(ours.by_column, plain.by_column, strict=True):
            assert torch.equal(a, b)


def test_roots_are_shifted_when_joined() -> None:
    first, second = (Graphs(g.x, g.edge_index, roots=torch.tensor(r)) for g, r in ((graph(0), [0, 3]), (graph(1), [2])))
    both = join([first, second])
    assert both.roots is not None
    assert both.roots.tolist() == [0, 3, 11]
    with pytest.raises(ValueError, match="roots"):
        join([first, graph(2)])


def test_patterns_are_freed_at_once() -> None:
    """Those of a step must not wait for Python to look for circles."""
    graphs = graph(0)
    kept = kept_edges(graphs, drop_edges(graphs, 0.5))
    freed = [weakref.ref(kept), weakref.ref(kept.of_heads(2)), weakref.ref(kept.of_heads(1))]
    assert kept.of_heads(2) is kept.of_heads(2)
    assert kept.of_heads(2).by_column
    gc.disable()
    try:
        del kept
        assert [ref() for ref in freed] == [None] * 3
    finally:
        gc.enable()
