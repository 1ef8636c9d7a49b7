from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.random import generator
from mmgraph.config import MGAEConfig
from mmgraph.graph import Graphs
from mmgraph.models.mgae import MGAE


@pytest.fixture
def model() -> MGAE:
    torch.manual_seed(0)
    return MGAE(MGAEConfig(5, 6, 2, dropout=0.0, decoder_dim=7, mask_ratio=0.5))


def test_against_dense_matrices(model: MGAE, square: Graphs) -> None:
    """Loss and gradients by the formulae of the paper, adjacency matrices dense."""
    mask = model.draw_mask(square, generator(1))
    output = model(square, mask)
    output.loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}

    model.zero_grad()
    adjacency = torch.eye(6)
    seen = square.edge_index[:, ~mask.hidden]
    adjacency[seen[1], seen[0]] = 1.0
    root = adjacency.sum(1).rsqrt()
    spread = root[:, None] * adjacency * root
    weights = dict(model.named_parameters())
    layers: list[Tensor] = []
    x = square.x
    for number in range(2):
        name = f"encoder.layers.{number}"
        x = (spread @ x @ weights[f"{name}.linear.weight"].t() + weights[f"{name}.bias"]).relu()
        layers.append(x)

    def probability(u: int, v: int) -> Tensor:
        cross = torch.cat([layers[i][u] * layers[j][v] for i in (0, 1) for j in (0, 1)])
        head = "objectives.edge.head"
        inner = F.linear(cross, weights[f"{head}.layers.0.weight"], weights[f"{head}.layers.0.bias"]).relu()
        return F.linear(inner, weights[f"{head}.outer.weight"], weights[f"{head}.outer.bias"]).sigmoid()

    edges = square.edge_index[:, mask.scored].t().tolist()
    positive = torch.cat([probability(u, v) for u, v in edges]).log().mean()
    negative = torch.cat([1 - probability(u, v) for u, v in mask.negatives.t().tolist()]).log().mean()
    loss = -positive - negative
    torch.testing.assert_close(output.loss, loss)
    loss.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)


def test_encode_and_score(model: MGAE, square: Graphs, tmp_path: Path) -> None:
    model.eval()
    assert model.encode(square).shape == (6, 12)
    pairs = torch.tensor([[0, 4], [2, 5]])
    model.save_pretrained(tmp_path)
    loaded = MGAE.from_pretrained(tmp_path)
    assert torch.equal(loaded.score_edges(square, pairs), model.score_edges(square, pairs))


def test_layers_count_in_the_official_sizes() -> None:
    """GCN 1433-128-128 and LPDecoder 512-256-1."""
    count = sum(p.numel() for p in MGAE(MGAEConfig()).parameters())
    assert count == 1433 * 128 + 128 + 128 * 128 + 128 + 512 * 256 + 256 + 256 + 1
