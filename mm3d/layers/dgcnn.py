"""A graph network over the patches of a cloud: every patch hears of the nearest ones."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mm3d.ops import gather, knn

GROUPS = 4  # of every norm
SLOPE = 0.2  # of the leaky ReLU


class EdgeConv(nn.Module):
    """Maximum over a patch's neighbours of one layer on (neighbour - patch, patch), with a group norm.

    A linear layer of a difference is the difference of linear layers: features are multiplied once a patch, not once a
    neighbour, which is the same at a quarter of the arithmetic with four neighbours.

    Args:
        dim: width C of the features.
        out: width O of the output.

    Shapes: ``forward(features, neighbors)``: (B, G, C), (B, G, k) int64 -> (B, G, O). The norm's statistics are those of
    all edges of a cloud.

    Source: Wang et al., "Dynamic Graph CNN for Learning on Point Clouds", Eq. 8; models/dvae.py of Point-BERT's official code.
    """

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * dim, out, bias=False)
        self.norm = nn.GroupNorm(GROUPS, out)

    def forward(self, features: Tensor, neighbors: Tensor) -> Tensor:
        of_difference, of_patch = self.linear.weight.chunk(2, 1)
        both = F.linear(features, torch.cat([of_difference, of_patch - of_difference]))
        of_neighbor, of_self = both.chunk(2, -1)
        edges = gather(of_neighbor, neighbors) + of_self.unsqueeze(2)  # (B, G, k, O)
        edges = self.norm(edges.permute(0, 3, 1, 2))  # channels stay last in memory
        return F.leaky_relu(edges.amax(-1), SLOPE).transpose(1, 2)  # ascending, so it may follow the maximum


class PatchGraph(nn.Module):
    """Four edge convolutions on the graph of nearest centres, and one layer on all of their outputs.

    Args:
        dim: width C of the features.
        out: width O of the output.
        widths: of the input and of the four layers.

    Shapes: ``forward(features, neighbors)``: (B, G, C), (B, G, k) -> (B, G, O); ``features(...)`` gives what the last layer
    reads, (B, G, sum of the four widths). ``neighbors`` as :func:`nearest_centers` gives them: one graph serves all layers.

    Source: Yu et al., "Point-BERT", Section 3.2; class DGCNN in models/dvae.py of its official code.
    """

    def __init__(self, dim: int, out: int, widths: Sequence[int] = (128, 256, 512, 512, 1024)) -> None:
        super().__init__()
        self.input = nn.Linear(dim, widths[0])
        pairs = itertools.pairwise(widths)
        self.layers = nn.ModuleList(EdgeConv(before, after) for before, after in pairs)
        self.out = nn.Linear(sum(widths[1:]), out, bias=False)
        self.norm = nn.GroupNorm(GROUPS, out)

    def features(self, features: Tensor, neighbors: Tensor) -> Tensor:
        x, outputs = self.input(features), []
        for layer in self.layers:
            x = layer(x, neighbors)
            outputs.append(x)
        return torch.cat(outputs, -1)

    def forward(self, features: Tensor, neighbors: Tensor) -> Tensor:
        given = self.out(self.features(features, neighbors))
        return F.leaky_relu(self.norm(given.transpose(1, 2)), SLOPE).transpose(1, 2)


def nearest_centers(centers: Tensor, count: int) -> Tensor:
    """The patches nearest to every patch, itself first: (B, G, 3) -> (B, G, count) int64."""
    return knn(centers, centers, count)[1]
