from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.masking import count_hidden
from core.random import generator
from mmgraph.attribute_masks import mask_attributes
from mmgraph.edge_masks import EdgeMask, mask_edges, mask_edges_as_released, mask_paths, mask_paths_as_released
from mmgraph.graph import Graphs, check_edges, join
from mmgraph.layers.links import link_loss
from mmgraph.masks import mask_nodes
from mmgraph.non_edges import draw_non_edges


def random_graph(nodes: int, edges: int, seed: int, undirected: bool = True) -> Graphs:
    source = generator(seed, "graph")
    index = torch.randint(nodes, (2, edges), generator=source)
    return Graphs(torch.zeros(nodes, 1), torch.cat([index, index.flip(0)], 1) if undirected else index)


def names(graphs: Graphs, edges: torch.Tensor) -> set[tuple[int, int]]:
    return {(u, v) for u, v in graphs.edge_index[:, edges].t().tolist()}


def check(graphs: Graphs, mask: EdgeMask) -> None:
    hidden, visible = names(graphs, mask.hidden), names(graphs, ~mask.hidden)
    scored = names(graphs, mask.scored)
    assert not {(v, u) for u, v in scored} & visible
    assert not scored & visible
    assert all(u != v for u, v in hidden | scored)
    every = names(graphs, torch.arange(graphs.edge_index.shape[1]))
    number = graphs.graph_of_node
    for u, v in mask.negatives.t().tolist():
        assert u != v
        assert (u, v) not in every
        assert (v, u) not in every
        assert number[u] == number[v]


@settings(deadline=None, max_examples=25)
@given(
    st.integers(6, 30),
    st.integers(6, 90),
    st.integers(0, 1000),
    st.floats(0.05, 0.95),
    st.booleans(),
    st.sampled_from(["node", "edge"]),
)
def test_no_predicted_edge_is_visible(
    nodes: int, edges: int, seed: int, ratio: float, undirected: bool, start: str
) -> None:
    """In either direction, self-loops and copies of edges included; two graphs are one batch."""
    graphs = join([random_graph(nodes, edges, seed, undirected), random_graph(5, 4, seed + 1, undirected)])
    before = graphs.edge_index.clone()
    mask = mask_edges(graphs, ratio, generator(seed, "mask"))
    check(graphs, mask)
    pairs = {frozenset(pair) for pair in names(graphs, mask.hidden)}
    assert len(pairs) == count_hidden(len(graphs.pairs[1]), ratio)
    assert torch.equal(mask.counts.sum(), mask.hidden.sum())
    walked = mask_paths(graphs, ratio, 3, start, generator(seed, "walk"))
    check(graphs, walked)
    assert 0 < len({frozenset(pair) for pair in names(graphs, walked.hidden)}) < len(graphs.pairs[1])
    assert torch.equal(before, graphs.edge_index)


@pytest.mark.parametrize(
    "draw",
    [
        lambda graphs: mask_edges(graphs, 1.0),
        lambda graphs: mask_edges_as_released(graphs, 1.0),
        lambda graphs: mask_edges_as_released(graphs, -0.1),
        lambda graphs: mask_paths(graphs, 1.5, 3),
        lambda graphs: mask_paths_as_released(graphs, -1.0, 3),
        lambda graphs: mask_paths(graphs, 0.5, -1),
        lambda graphs: mask_paths(graphs, 0.5, 3, "nod"),
        lambda graphs: mask_attributes(graphs, 1.0),
        lambda graphs: mask_nodes(graphs.offsets, 1.0),
    ],
)
def test_ratios_that_would_hide_all(draw: Callable[[Graphs], object]) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1|expected some steps"):
        draw(random_graph(10, 20, 0))


def test_the_released_masks_leak() -> None:
    """At 0.7 a drawn edge stays visible with probability 0.3, and the edges not drawn make half of all visible."""
    graphs = random_graph(2000, 20000, 0)
    for mask in (
        mask_edges_as_released(graphs, 0.7, generator(0)),
        mask_paths_as_released(graphs, 0.7, 3, "node", generator(0)),
    ):
        visible = names(graphs, ~mask.hidden)
        scored = names(graphs, mask.scored)
        assert {(v, u) for u, v in visible if u != v} == {(u, v) for u, v in visible if u != v}
        assert scored & visible
    mask = mask_edges_as_released(graphs, 0.7, generator(0))
    leaking = (~mask.hidden[mask.scored]).float().mean()
    assert float(leaking) == pytest.approx(0.3, abs=0.02)
    assert float(mask.hidden.float().mean()) == pytest.approx(0.49, abs=0.02)


def test_walks_follow_edges() -> None:
    """On a directed path one walk of two steps from every node passes every edge that lies on its way."""
    path = Graphs(torch.zeros(5, 1), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]))
    mask = mask_paths_as_released(path, 0.2, 2, "node", generator(4))
    drawn = sorted(names(path, mask.drawn))
    start = drawn[0][0]
    assert drawn == [(node, node + 1) for node in range(start, min(start + 2, 4))]


def test_a_limit_keeps_what_is_hidden() -> None:
    graphs = random_graph(50, 200, 1)
    whole, some = (mask_edges(graphs, 0.5, generator(2), limit) for limit in (None, 10))
    assert torch.equal(whole.hidden, some.hidden)
    assert len(some.scored) == 10
    assert some.negatives.shape == (2, 10)
    assert torch.equal(some.degrees(graphs), whole.degrees(graphs))
    assert bool(some.hidden[some.scored].all())


def test_degrees_count_drawn_edges() -> None:
    graphs = random_graph(20, 40, 3)
    mask = mask_edges(graphs, 0.5, generator(0))
    counted = torch.zeros(20)
    for edge in mask.drawn.nonzero().squeeze(1).tolist():
        counted[graphs.edge_index[1, edge]] += 1
    assert torch.equal(mask.degrees(graphs), counted)


def test_one_edge_is_not_hidden() -> None:
    one = Graphs(torch.zeros(3, 1), torch.tensor([[0, 1, 2], [1, 0, 2]]))
    for mask in (mask_edges(one, 0.7), mask_paths(one, 0.9, 3)):
        assert not mask.hidden.any()
        assert len(mask.scored) == 0
        logits = torch.zeros(0, requires_grad=True)
        link_loss(logits, mask.labels).backward()
        assert logits.grad is not None
    with pytest.raises(UserError, match="mine: 1 undirected edges; expected two at least"):
        check_edges(one, "mine")


def test_a_complete_graph_has_no_other_pairs() -> None:
    nodes = torch.arange(4)
    complete = Graphs(torch.zeros(4, 1), torch.cartesian_prod(nodes, nodes).t())
    assert draw_non_edges(complete, 5, generator(0)).shape == (2, 0)


def test_pairs_that_are_none_are_uniform() -> None:
    """Every free pair of a small graph is drawn about equally often."""
    graphs = Graphs(torch.zeros(4, 1), torch.tensor([[0], [1]]))
    drawn = draw_non_edges(graphs, 10000, generator(0))
    low, high = drawn.amin(0), drawn.amax(0)
    counts = torch.bincount(low * 4 + high, minlength=16)
    free = [0 * 4 + 2, 0 * 4 + 3, 1 * 4 + 2, 1 * 4 + 3, 2 * 4 + 3]
    assert int(counts[free].sum()) == 10000
    assert int(counts[free].min()) > 1800
