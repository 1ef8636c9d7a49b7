"""The mini-PointNet that embeds a patch of points as one token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.batchnorm import BatchNorm
from mm3d.ops import linear_max


class MiniPointNet(nn.Module):
    """Two shared MLPs with a max over the patch after each: (P, K, 3) -> (P, C).

    The second MLP of the paper reads [patch maximum, point feature] concatenated. Its weight is split into these halves.
    The one for the maximum is applied once a patch, not once a point. The one for points follows the last layer of the
    first MLP with nothing between, so that the product of both weights is applied. The function is the same, at a third
    of the arithmetic forwards and backwards.

    Args:
        dim: width C of the tokens.
        widths: of the layers before; the default is the published one.

    Source: Yu et al., "Point-BERT", Section 3.1; widths as its official code (128, 256, 512, C).
    """

    def __init__(self, dim: int, widths: tuple[int, int, int] = (128, 256, 512)) -> None:
        super().__init__()
        first, second, third = widths
        self.point1 = nn.Linear(3, first)
        self.norm1 = BatchNorm(first)
        self.point2 = nn.Linear(first, second)
        self.mix = nn.Linear(2 * second, third)
        self.norm2 = BatchNorm(third)
        self.out = nn.Linear(third, dim)

    def forward(self, patches: Tensor) -> Tensor:
        count, size, _ = patches.shape
        points = F.relu(self.norm1(self.point1(patches.reshape(count * size, 3))), inplace=True)
        whole = linear_max(points.view(count, size, -1), self.point2.weight, self.point2.bias)  # (P, second)
        of_whole, of_points = self.mix.weight.chunk(2, 1)
        with torch.autocast(patches.device.type, enabled=False):  # a product of weights keeps their precision
            weight, bias = of_points @ self.point2.weight, of_points @ self.point2.bias + self.mix.bias
        shared = F.linear(whole, of_whole, bias)  # (P, third)
        points = F.linear(points, weight).view(count, size, -1) + shared.unsqueeze(1)
        points = F.relu(self.norm2(points.flatten(0, 1)), inplace=True)
        return linear_max(points.view(count, size, -1), self.out.weight, self.out.bias)
