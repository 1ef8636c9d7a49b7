from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mmgraph.ops import Pattern, aggregate, edge_softmax


def random_edges(seed: int, nodes: int, count: int) -> Tensor:
    return torch.randint(nodes, (2, count), generator=torch.Generator().manual_seed(seed))


def dense(pattern: Pattern, weight: Tensor) -> Tensor:
    """The pattern as a matrix, entries at the same place added."""
    matrix = weight.new_zeros(pattern.rows, pattern.columns)
    return matrix.index_put((pattern.row, pattern.column), weight, accumulate=True)


def test_entries_are_sorted_by_target_and_the_order_says_which_is_which() -> None:
    edges = torch.tensor([[3, 0, 1, 0], [1, 2, 1, 0]])
    pattern, order = Pattern.of_edges(edges, 4)
    assert pattern.start.tolist() == [0, 1, 3, 4, 4]
    assert pattern.column.tolist() == [0, 3, 1, 0]
    assert torch.equal(torch.stack([pattern.column, pattern.row]), edges[:, order])


def test_an_index_outside_the_nodes_is_an_error() -> None:
    with pytest.raises(ValueError, match="between 0 and 4, there are 4 nodes"):
        Pattern.of_edges(torch.tensor([[0], [4]]), 4)


@given(st.integers(0, 100), st.integers(1, 9), st.integers(0, 30), st.booleans())
def test_aggregate_is_a_matrix_product(seed: int, nodes: int, count: int, weighted: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    pattern, _ = Pattern.of_edges(random_edges(seed, nodes, count), nodes)
    values = torch.randn(nodes, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(count, generator=generator, dtype=torch.float64, requires_grad=weighted)
    ours = aggregate(pattern, values, weight if weighted else None)
    matrix = dense(pattern, weight if weighted else torch.ones_like(weight))
    torch.testing.assert_close(ours, matrix @ values)
    back = torch.randn(nodes, 4, generator=generator, dtype=torch.float64)
    leaves = [values, weight] if weighted else [values]
    for a, b in zip(
        torch.autograd.grad(ours, leaves, back), torch.autograd.grad(matrix @ values, leaves, back), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_finite_differences() -> None:
    pattern, _ = Pattern.of_edges(random_edges(3, 5, 12), 5)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    scores = torch.randn(2, 12, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v, w: aggregate(pattern, v, w[0]), (values, scores))
    assert torch.autograd.gradcheck(lambda s: edge_softmax(pattern, s), (scores,))


def test_softmax_sums_to_one_at_every_node_also_for_huge_scores() -> None:
    pattern, _ = Pattern.of_edges(random_edges(1, 6, 20), 6)
    scores = 500 * torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    share = edge_softmax(pattern, scores)
    sums = torch.zeros(3, 6).scatter_add(1, pattern.row.expand(3, -1), share)
    present = pattern.start.diff() > 0
    torch.testing.assert_close(sums[:, present], torch.ones(3, int(present.sum())))
    for row in range(6):
        at = pattern.row == row
        torch.testing.assert_close(share[:, at], scores[:, at].softmax(1))


def test_heads_stand_one_after_the_other() -> None:
    pattern, _ = Pattern.of_edges(random_edges(2, 5, 11), 5)
    values = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(2))
    weight = torch.rand(3, 11, generator=torch.Generator().manual_seed(3))
    ours = aggregate(pattern.of_heads(3), values.view(15, 4), weight.flatten()).view(3, 5, 4)
    for head in range(3):
        torch.testing.assert_close(ours[head], dense(pattern, weight[head]) @ values[:, head])


def test_some_rows_are_those_of_the_whole() -> None:
    pattern, _ = Pattern.of_edges(random_edges(4, 7, 25), 7)
    keep = torch.tensor([1, 4, 6])
    part = pattern.of_rows(keep)
    values = torch.randn(7, 3, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(aggregate(part, values), aggregate(pattern, values)[keep])
    assert torch.equal(part.target, keep[part.row])
    assert torch.equal(part.of_rows(torch.tensor([2])).target.unique(), torch.tensor([6]))
