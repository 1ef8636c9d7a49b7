"""The residual of graph attention: it sees the input after its dropout, as the official code has it."""

from __future__ import annotations

import pytest
import torch

from mmgraph.config import GraphEncoderConfig, GraphMAEConfig
from mmgraph.graph import Graphs
from mmgraph.layers.features import NodeFeatures
from mmgraph.layers.gat import GATLayer
from mmgraph.models.graphmae import GraphMAE


@pytest.mark.parametrize("given", ["tensor", "dense features", "sparse features"])
@pytest.mark.parametrize("out", [5, 8])
def test_residual(square: Graphs, given: str, out: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmgraph.graph.SPARSE", 2.0 if given == "sparse features" else -1.0)
    torch.manual_seed(0)
    layer = GATLayer(5, out, 1 if out == 5 else 2, feature_dropout=0.5, residual=True).eval()
    plain = GATLayer(5, out, layer.heads)
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if "residual" not in k})
    x = square.x if given == "tensor" else NodeFeatures(square)
    assert layer.residual is not None
    expected = plain(square.x, square.edges) + layer.residual(square.x)
    torch.testing.assert_close(layer(x, square.edges), expected)
    keep = torch.tensor([1, 4])
    torch.testing.assert_close(layer(x, square.edges.of_rows(keep)), expected[keep])


@pytest.mark.parametrize("sparse", [False, True])
def test_one_dropout_for_both(square: Graphs, sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With equal weights the residual of a lonely node is what it attends to: itself."""
    monkeypatch.setattr("mmgraph.graph.SPARSE", 2.0 if sparse else -1.0)
    layer = GATLayer(5, 4, 2, feature_dropout=0.5, residual=True).train()
    plain = GATLayer(5, 4, 2, feature_dropout=0.5).train()
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if "residual" not in k})
    assert isinstance(layer.residual, torch.nn.Linear)
    layer.residual.weight = layer.linear.weight
    torch.manual_seed(1)
    alone = plain(NodeFeatures(square), square.edges)[4:]
    torch.manual_seed(1)
    out = layer(NodeFeatures(square), square.edges)[4:]
    torch.testing.assert_close(out, 2 * alone)


def test_the_decoder_has_none() -> None:
    model = GraphMAE(GraphMAEConfig(8, GraphEncoderConfig(dim=8, heads=2, residual=True)))
    assert all(layer.residual is not None for layer in model.encoder.encoder.layers)
    assert model.objectives["sce"].head.layer.residual is None
