from __future__ import annotations

import pytest
import torch

from core.random import generator
from mmgraph.config import EdgeMaskConfig, MaskGAEConfig
from mmgraph.edge_masks import mask_edges
from mmgraph.graph import Graphs, join
from mmgraph.layers.gcn import GCNLayer, symmetric_shares
from mmgraph.models.maskgae import MaskGAE


def weighted(nodes: int = 12, edges: int = 30, seed: int = 0) -> Graphs:
    """A directed graph without self-loops, with weights."""
    source = generator(seed)
    start = torch.randint(nodes, (edges,), generator=source)
    end = (start + torch.randint(1, nodes, (edges,), generator=source)) % nodes
    x = torch.randn(nodes, 5, generator=source)
    return Graphs(x, torch.stack([start, end]), edge_weight=torch.rand(edges, generator=source))


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("with_weights", [False, True])
def test_against_torch_geometric(with_weights: bool, loops: bool) -> None:
    graph = weighted()
    if loops:
        assert graph.edge_weight is not None
        graph = Graphs(
            torch.cat([graph.x, graph.x[:1]]), graph.edge_index, edge_weight=graph.edge_weight
        )  # a lonely node
        ends = torch.cat([torch.tensor([[3, 7, 12], [3, 7, 12]]), graph.edge_index], 1)
        graph = Graphs(graph.x, ends, edge_weight=torch.cat([torch.tensor([5.0, 0.1, 0.0]), graph.edge_weight]))
    if not with_weights:
        graph = Graphs(graph.x, graph.edge_index)
    theirs = pytest.importorskip("torch_geometric.nn").GCNConv(5, 7)
    ours = GCNLayer(5, 7)
    ours.load_state_dict({"bias": theirs.bias, "linear.weight": theirs.lin.weight})
    made = ours(graph.x, graph.edges, symmetric_shares(graph.edges, graph.weights))
    torch.testing.assert_close(made, theirs(graph.x, graph.edge_index, graph.edge_weight))


def test_equal_weights_are_shares_of_multiple_edges() -> None:
    """An edge of weight two is the edge there twice."""
    graph = weighted()
    twice = torch.ones(30)
    twice[:10] = 2
    doubled = torch.cat([graph.edge_index, graph.edge_index[:, :10]], 1)
    one, other = Graphs(graph.x, graph.edge_index, edge_weight=twice), Graphs(graph.x, doubled)
    layer = GCNLayer(5, 4)
    found = [layer(g.x, g.edges, symmetric_shares(g.edges, g.weights)) for g in (one, other)]
    torch.testing.assert_close(*found)


def test_weights_follow_their_edges_under_a_mask() -> None:
    """Also in a batch: what the encoder makes is what it makes of the graph without the hidden edges."""
    graphs = join([weighted(12, 30, 0), weighted(5, 9, 1)])
    mask = mask_edges(graphs, 0.5, generator(0))
    model = MaskGAE(MaskGAEConfig(5, 8, 8, mask=EdgeMaskConfig("edge", 0.5))).eval()
    assert graphs.edge_weight is not None
    left = ~mask.hidden
    without = Graphs(graphs.x, graphs.edge_index[:, left], graphs.offsets, edge_weight=graphs.edge_weight[left])
    torch.testing.assert_close(model(graphs, mask).latent, model.encoder(without))
    bare = Graphs(without.x, without.edge_index, without.offsets)
    assert not torch.allclose(model.encoder(bare), model.encoder(without))


def test_all_graphs_of_a_batch_have_weights_or_none() -> None:
    graph = weighted()
    with pytest.raises(ValueError, match="some of the graphs have edge weights, others have none"):
        join([graph, Graphs(graph.x, graph.edge_index)])
