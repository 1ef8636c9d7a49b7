"""One epoch of GraphMAE's Cora recipe against the same model on torch_geometric's layers.

python -m benchmarks.graphmae_epoch planetoid:FOLDER/cora

The peer has the same weights, masks, loss and optimiser. Its layers are ``GATConv``, its features dense, and its decoder
reconstructs all nodes, of which the hidden ones are scored, as the official code does.
"""

from __future__ import annotations

import copy
import resource
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.timing import Case, installed, run, training_step
from core.cli.recipes import build_recipe, find_recipe
from core.losses import scaled_cosine_error
from mmgraph.config import GraphMAERecipe
from mmgraph.data.sets import NodeSet
from mmgraph.data.sources import load
from mmgraph.graph import Graphs, with_self_loops
from mmgraph.layers.features import NodeFeatures
from mmgraph.layers.gat import GATLayer
from mmgraph.masks import NodeMask
from mmgraph.models.graphmae import GraphMAE, GraphMAEDecoder


class Plain(nn.Module):
    """GraphMAE on ``GATConv``, with the weights of ours."""

    def __init__(self, model: GraphMAE) -> None:
        super().__init__()
        self.config = model.config
        self.token = nn.Parameter(model.encoder.token.detach().clone())
        encoder, decoder = model.encoder.encoder, model.objectives["sce"].head
        assert isinstance(decoder, GraphMAEDecoder)
        self.layers = nn.ModuleList(gat_conv(layer) for layer in encoder.layers)
        self.activations = copy.deepcopy(encoder.activations)
        self.bridge = copy.deepcopy(decoder.bridge)
        self.decoder = gat_conv(decoder.layer)

    def forward(self, graphs: Graphs, edges: Tensor, mask: NodeMask) -> Tensor:
        x = NodeFeatures(graphs, mask, self.token).dense()
        dropout = self.config.encoder.feature_dropout
        for layer, activation in zip(self.layers, self.activations, strict=True):
            x = activation(layer(F.dropout(x, dropout, self.training), edges))
        x = self.bridge(x)
        x = x.masked_fill(mask.hidden[:, None], 0.0)
        made = self.decoder(F.dropout(x, dropout, self.training), edges)
        return scaled_cosine_error(made[mask.hidden], graphs.x[mask.hidden], self.config.gamma)


def gat_conv(layer: nn.Module) -> nn.Module:
    from torch_geometric.nn import GATConv

    assert isinstance(layer, GATLayer)
    width = layer.linear.in_features
    conv = GATConv(width, layer.out, layer.heads, dropout=layer.attention_dropout, add_self_loops=False)
    with torch.no_grad():
        conv.lin.weight.copy_(layer.linear.weight)
        conv.att_src.copy_(layer.att_source[None])
        conv.att_dst.copy_(layer.att_target[None])
        conv.bias.copy_(layer.bias)
    return conv


def setting(source: str) -> tuple[GraphMAERecipe, Graphs, GraphMAE]:
    """The recipe, the graph, and our model."""
    recipe = build_recipe(find_recipe("mmgraph", "graphmae_cora"), GraphMAERecipe)
    data = load(source)
    assert isinstance(data, NodeSet)
    recipe.model.width = data.graph.x.shape[1]
    torch.manual_seed(0)
    return recipe, data.graph, GraphMAE(recipe.model)


def sides(source: str) -> tuple[Graphs, Callable[[], Callable[[], float]], Callable[[], Callable[[], float]]]:
    """The graph, and what makes an epoch of ours and of the peer."""
    recipe, graph, model = setting(source)
    generator = torch.Generator().manual_seed(0)

    def ours() -> Callable[[], float]:
        trained = model.train()
        return training_step(trained, lambda: trained(graph, trained.draw_mask(graph, generator)).loss, recipe.optim)

    def plain() -> Callable[[], float]:
        trained, edges = Plain(model).train(), with_self_loops(graph.edge_index, len(graph.x))
        return training_step(trained, lambda: trained(graph, edges, model.draw_mask(graph, generator)), recipe.optim)

    return graph, ours, plain


def cases(source: str) -> list[Case]:
    _, graph, model = setting(source)
    mask = model.draw_mask(graph, torch.Generator().manual_seed(0))
    edges = with_self_loops(graph.edge_index, len(graph.x))
    values = [model.eval()(graph, mask).loss, Plain(model).eval()(graph, edges, mask)]
    torch.testing.assert_close(values[0], values[1], rtol=1e-5, atol=0)
    print(f"loss without dropout {float(values[0].detach()):.7f} and {float(values[1].detach()):.7f}")
    graph, ours, plain = sides(source)
    name = f"graphmae_cora, {len(graph.x)} nodes, {edges.shape[1]} edges"
    return [Case(name, ours(), {f"GATConv of {installed('torch-geometric')}": plain()}, 2.0)]


def peak(source: str, side: str) -> None:
    """Print the resident memory of this process after three epochs of one side alone."""
    _, ours, plain = sides(source)
    step = ours() if side == "ours" else plain()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        step()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{side}: {after / 1024:.0f} MiB resident at the peak, of which {before / 1024:.0f} before the first epoch")


if __name__ == "__main__":
    given = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else ""
    if not given:
        sys.exit("usage: python -m benchmarks.graphmae_epoch planetoid:FOLDER/cora [--json FILE] [--peak ours|plain]")
    if "--peak" in sys.argv:
        peak(given, sys.argv[sys.argv.index("--peak") + 1])
    else:
        run("Epoch of GraphMAE", lambda device: cases(given), repeats=7)
