"""Layers of the dVAE against plain compositions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.random import generator
from mm3d.layers.dgcnn import EdgeConv, PatchGraph, nearest_centers
from mm3d.layers.folding import REACH, FoldingDecoder
from mm3d.ops import gather


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, "dgcnn"))


def plain_edge_conv(layer: EdgeConv, features: Tensor, neighbors: Tensor) -> Tensor:
    """As the equation says: every edge is a concatenation, and all of it is normalised before the maximum."""
    own = features.unsqueeze(2).expand(-1, -1, neighbors.shape[2], -1)
    edges = layer.linear(torch.cat([gather(features, neighbors) - own, own], -1)).permute(0, 3, 1, 2).contiguous()
    return F.leaky_relu(layer.norm(edges), 0.2).amax(-1).transpose(1, 2)


def test_an_edge_convolution_is_its_equation_with_its_gradients() -> None:
    torch.manual_seed(0)
    layer = EdgeConv(6, 8).double()
    torch.nn.init.normal_(layer.norm.weight)  # of both signs
    torch.nn.init.normal_(layer.norm.bias)
    features = random(2, 9, 6).double().requires_grad_()
    neighbors = nearest_centers(random(2, 9, 3, seed=1), 4)
    ours, theirs = layer(features, neighbors), plain_edge_conv(layer, features, neighbors)
    assert torch.allclose(ours, theirs)
    weight = random(*ours.shape, seed=2).double()
    parameters = [features, *layer.parameters()]
    for a, b in zip(
        torch.autograd.grad((ours * weight).sum(), parameters),
        torch.autograd.grad((theirs * weight).sum(), parameters),
        strict=True,
    ):
        assert torch.allclose(a, b)


def test_a_graph_network_does_not_see_the_order_of_patches() -> None:
    torch.manual_seed(0)
    network = PatchGraph(5, 12, (4, 8, 8, 8, 16))
    features, centers = random(2, 10, 5), random(2, 10, 3, seed=1)
    order = torch.randperm(10, generator=generator(2))
    straight = network(features, nearest_centers(centers, 4))
    turned = network(features[:, order], nearest_centers(centers[:, order], 4))
    assert torch.allclose(straight[:, order], turned, atol=1e-5)
    assert network.features(features, nearest_centers(centers, 4)).shape == (2, 10, 40)


def test_the_nearest_center_is_the_patch_itself() -> None:
    centers = random(2, 10, 3)
    found = nearest_centers(centers, 3)
    assert (found[..., 0] == torch.arange(10)).all()
    brute = torch.cdist(centers, centers).argsort(-1)[..., :3]
    assert torch.equal(found.sort(-1).values, brute.sort(-1).values)


def test_folding_is_a_perceptron_on_feature_place_and_coarse_point() -> None:
    torch.manual_seed(0)
    decoder = FoldingDecoder(6, 12, coarse_width=16, fold_width=10)
    for norm in (decoder.norm1, decoder.norm2):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    decoder.eval()
    features = random(5, 6)
    coarse, fine = decoder(features)
    assert coarse.shape == (5, 3, 3)
    assert fine.shape == (5, 12, 3)
    line = (-REACH, REACH)
    places = torch.tensor([(x, y) for y in line for x in line])
    for patch in range(5):
        for point in range(12):
            around, place = coarse[patch, point // 4], places[point % 4]
            x = torch.cat([features[patch], place, around])[None]
            x = F.relu(decoder.norm1(decoder.fold1(x)))
            x = decoder.out(F.relu(decoder.norm2(decoder.fold2(x))))[0] + around
            assert torch.allclose(fine[patch, point], x, atol=1e-5)
    with pytest.raises(ValueError, match="multiple of 4"):
        FoldingDecoder(6, 10)
