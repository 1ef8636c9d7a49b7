from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmgraph.graph import Graphs, join, with_self_loops
from mmgraph.layers.features import NodeFeatures
from mmgraph.masks import mask_nodes


@given(
    st.integers(2, 60),
    st.sampled_from([0.1, 0.5, 0.75, 0.99]),
    st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    st.integers(0, 9),
)
def test_counts(nodes: int, ratio: float, replace: float, seed: int) -> None:
    mask = mask_nodes(torch.tensor([0, nodes]), ratio, replace, torch.Generator().manual_seed(seed))
    hidden = set(mask.hidden_index.tolist())
    assert 0 < len(hidden) < nodes
    assert len(mask.noise) == len(mask.noise_source) == int(replace * len(hidden))
    assert len(mask.token) == int((1 - replace) * len(hidden))
    token, noise = set(mask.token.tolist()), set(mask.noise.tolist())
    assert len(token) == len(mask.token)
    assert not token & noise
    assert token | noise <= hidden
    assert len(hidden) - len(token | noise) <= 1


def test_the_same_generator_draws_the_same_and_every_node_is_hidden_as_often() -> None:
    offsets = torch.tensor([0, 3, 10])
    first, again = (mask_nodes(offsets, 0.5, 0.2, torch.Generator().manual_seed(3)) for _ in range(2))
    for name in ("hidden", "token", "noise", "noise_source"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    generator = torch.Generator().manual_seed(0)
    share = torch.stack([mask_nodes(offsets, 0.5, 0.0, generator).hidden.float() for _ in range(2000)]).mean(0)
    assert (share - 0.5).abs().max() < 0.06  # five deviations


def test_a_single_node_stays_visible() -> None:
    mask = mask_nodes(torch.tensor([0, 1]), 0.5, 0.5)
    assert [len(part) for part in (mask.hidden_index, mask.token, mask.noise, mask.noise_source)] == [0, 0, 0, 0]


@pytest.mark.parametrize("sparse", [False, True])
def test_features_under_a_mask(square: Graphs, sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmgraph.graph.SPARSE", 2.0 if sparse else -1.0)
    mask = mask_nodes(square.offsets, 0.7, 0.5, torch.Generator().manual_seed(1))
    before = square.x.clone()
    token = torch.arange(5.0)[None].requires_grad_()
    features = NodeFeatures(square, mask, token)
    expected = before.clone()
    expected[mask.noise] = before[mask.noise_source]
    expected[mask.token] = token.detach()
    torch.testing.assert_close(features.dense().detach(), expected)
    weight = torch.randn(3, 5, generator=torch.Generator().manual_seed(2), requires_grad=True)
    product = features.linear(weight)
    torch.testing.assert_close(product, expected @ weight.t())
    ours = torch.autograd.grad(product.square().sum(), [weight, token])
    plain = (features.dense() @ weight.t()).square().sum()
    for a, b in zip(ours, torch.autograd.grad(plain, [weight, token]), strict=True):
        torch.testing.assert_close(a, b)
    assert torch.equal(square.x, before)


def test_sparse_dropout_has_the_mean_of_the_features() -> None:
    x = torch.zeros(40, 200)
    x[:, ::11] = 1.0
    graphs = Graphs(x, torch.tensor([[0], [1]]))
    assert graphs.sparse_x is not None
    torch.manual_seed(0)
    drawn = torch.stack([NodeFeatures(graphs).linear(torch.ones(1, 200), 0.5) for _ in range(200)])
    assert abs(float(drawn.mean()) - 19.0) < 0.3
    assert float(drawn.std()) == pytest.approx(19**0.5, rel=0.1)  # each entry is 0 or 2


def test_joining_shifts_edges(square: Graphs) -> None:
    both = join([square, square])
    assert len(both) == 4
    assert both.offsets.tolist() == [0, 4, 6, 10, 12]
    assert torch.equal(both.edge_index[:, square.edge_index.shape[1] :], square.edge_index + 6)
    assert both.graph_of_node.tolist() == [0] * 4 + [1] * 2 + [2] * 4 + [3] * 2


def test_every_node_has_one_self_loop(square: Graphs) -> None:
    edges = with_self_loops(square.edge_index, 6)
    loops = edges[0][edges[0] == edges[1]]
    assert loops.tolist() == list(range(6))
    assert edges.shape[1] == 10 + 6
