"""A layer of graph attention, forward and backward, against GATConv: python -m benchmarks.gat_layer planetoid:FOLDER/cora

The same weights, inputs and gradients. A layer of GraphMAE's Cora recipe on Cora's edges, and the first layer of its
ogbn-arxiv recipe's width on a generated graph of that size.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.graphmae_epoch import gat_conv
from benchmarks.timing import Case, installed, run
from mmgraph.graph import Graphs, with_self_loops
from mmgraph.layers.features import NodeFeatures
from mmgraph.layers.gat import GATLayer
from mmgraph.ops import Pattern

NODES, EDGES = 169_343, 1_166_243  # of ogbn-arxiv; each edge is there in both directions
GOAL = 2.0


def large(generator: torch.Generator) -> Tensor:
    """Edges between nodes of unequal degree, as many as ogbn-arxiv has; no recipe's data are needed."""
    ends = (torch.rand(2, EDGES, generator=generator, dtype=torch.float64) ** 1.5 * NODES).long()
    return with_self_loops(torch.cat([ends, ends.flip(0)], 1), NODES)


def case(name: str, edges: Tensor, nodes: int, width: int, heads: int, device: torch.device) -> Case:
    torch.manual_seed(0)
    layer = GATLayer(width, width // heads, heads).to(device)
    conv = gat_conv(layer).to(device)
    leaf = torch.randn(nodes, width, device=device, requires_grad=True)
    back = torch.randn(nodes, width, device=device)
    pattern, edges = Pattern.of_edges(edges, nodes)[0].to(device), edges.to(device)

    def step(module: nn.Module, where: object) -> Callable[[], tuple[Tensor, ...]]:
        parameters = [leaf, *module.parameters()]
        return lambda: torch.autograd.grad(module(leaf, where), parameters, back)

    ours, theirs = step(layer, pattern), step(conv, edges)
    torch.testing.assert_close(layer(leaf, pattern), conv(leaf, edges), rtol=1e-3, atol=1e-4)
    difference = float((ours()[0] - theirs()[0]).norm() / theirs()[0].norm())
    if not difference < 1e-4:
        raise AssertionError(f"{name}: the gradients differ by {difference:.1e}")
    shape = f"{name}, {edges.shape[1]:,} edges, {heads} heads of {width // heads}"
    return Case(shape, ours, {f"GATConv of {installed('torch-geometric')}": theirs}, GOAL)


def features(graph: Graphs, edges: Tensor, device: torch.device) -> Case:
    """The first layer, whose input are Cora's features; ours multiplies only those that are not zero."""
    torch.manual_seed(0)
    width, heads = graph.x.shape[1], 4
    layer = GATLayer(width, 128, heads).to(device)
    conv = gat_conv(layer).to(device)
    graph, edges = graph.to(device), edges.to(device)
    back = torch.randn(len(graph.x), 512, device=device)
    pattern = Pattern.of_edges(edges, len(graph.x))[0]
    sparse = NodeFeatures(graph)

    def step(module: nn.Module, x: object, where: object) -> Callable[[], tuple[Tensor, ...]]:
        return lambda: torch.autograd.grad(module(x, where), list(module.parameters()), back)

    ours, theirs = step(layer, sparse, pattern), step(conv, graph.x, edges)
    torch.testing.assert_close(layer(sparse, pattern), conv(graph.x, edges), rtol=1e-3, atol=1e-4)
    name = f"Cora's {width:,} features, {edges.shape[1]:,} edges, {heads} heads of 128"
    return Case(name, ours, {f"GATConv of {installed('torch-geometric')}": theirs}, GOAL)


def cases(cora: str, device: torch.device) -> list[Case]:
    from mmgraph.data.sources import load

    graph = load(cora).graph
    edges = with_self_loops(graph.edge_index, len(graph.x))
    return [
        features(graph, edges, device),
        case("Cora", edges, len(graph.x), 512, 4, device),
        case(f"{NODES:,} nodes", large(torch.Generator().manual_seed(0)), NODES, 128, 4, device),
    ]


if __name__ == "__main__":
    given = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else ""
    if not given:
        sys.exit("usage: python -m benchmarks.gat_layer planetoid:FOLDER/cora [--json FILE] [--device cuda]")
    run("GAT layer, forward + backward", lambda device: cases(given, device), repeats=5, warmup=1)
