"""Clouds to the codes of Point-BERT's tokenizer against the straightforward arithmetic: python -m benchmarks.tokenise_clouds

The peer has the same weights. Its centres are sampled by the usual loop, neighbours come from torch.cdist and a top-k,
patches are embedded by 1x1 convolutions with the maximum repeated and concatenated, and every edge of the graph is one
column [neighbour - patch, patch] of a convolution, as in the formula.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.point_mae_step import plain_embed, plain_patches
from benchmarks.timing import Case, run
from mm3d.config import PointDVAEConfig
from mm3d.layers.dgcnn import GROUPS, SLOPE, EdgeConv
from mm3d.models.point_dvae import PointDVAE

POINTS = 1024
BATCH = {"cpu": 16, "cuda": 256}


def plain_ids(model: PointDVAE, points: Tensor) -> Tensor:
    """The peer: (B, N, 3) -> (B, G)."""
    config, graph = model.config, model.to_codes
    clouds = torch.arange(len(points), device=points.device)[:, None]
    patches, centers = plain_patches(points, config.groups, config.group_size)
    features = plain_embed(model.encoder, patches.flatten(0, 1)).unflatten(0, centers.shape[:2])
    neighbors = torch.cdist(centers, centers).topk(config.neighbors, largest=False).indices
    x = F.conv1d(features.transpose(1, 2), graph.input.weight[:, :, None], graph.input.bias)
    outputs = []
    for layer in graph.layers:
        assert isinstance(layer, EdgeConv)
        of_neighbor = x.transpose(1, 2)[clouds[:, :, None], neighbors].permute(0, 3, 1, 2)  # (B, C, G, k)
        own = x.unsqueeze(-1).expand_as(of_neighbor)
        edges = F.conv2d(torch.cat([of_neighbor - own, own], 1), layer.linear.weight[:, :, None, None])
        edges = F.group_norm(edges, GROUPS, layer.norm.weight, layer.norm.bias, layer.norm.eps)
        x = F.leaky_relu(edges, SLOPE).amax(-1)
        outputs.append(x)
    x = F.conv1d(torch.cat(outputs, 1), graph.out.weight[:, :, None])
    x = F.group_norm(x, GROUPS, graph.norm.weight, graph.norm.bias, graph.norm.eps)
    return F.leaky_relu(x, SLOPE).argmax(1)


def cases(device: torch.device) -> list[Case]:
    torch.manual_seed(0)
    batch = BATCH[device.type]
    # the plain loop knows no rule about points near the origin
    model = PointDVAE(PointDVAEConfig(skip_near_origin=False)).to(device).eval().requires_grad_(False)
    points = torch.randn(batch, POINTS, 3, generator=torch.Generator().manual_seed(0))
    points = (points / points.norm(dim=-1).amax(1)[:, None, None]).to(device)

    def ours() -> Tensor:
        return model.ids(model.inputs(points))

    def plain() -> Tensor:
        with torch.no_grad():
            return plain_ids(model, points)

    same = (ours() == plain()).float().mean()
    assert same > 0.99, same  # in float32 cdist ties other points, and rounding may decide between two codes
    codes = model.config.codes
    return [Case(f"{batch} clouds to {codes:,} codes", ours, {"straightforward arithmetic": plain})]


if __name__ == "__main__":
    run("Tokenising clouds of 1,024 points", cases, repeats=9)
