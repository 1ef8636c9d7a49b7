"""The mini-PointNet that embeds a patch of points as one token."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from core.batchnorm import BatchNorm


class MiniPointNet(nn.Module):
    """Two shared MLPs with a max over the patch after each: (P, K, 3) -> (P, C).

    The second MLP of the paper reads [patch maximum, point feature] concatenated. Here the weight is split into the two
    halves and the first is applied once a patch instead of once a point: the same sum, a quarter of the arithmetic less.

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
        points = patches.reshape(count * size, 3)
        points = self.point2(F.relu(self.norm1(self.point1(points)), inplace=True))  # (P*K, second)
        whole = points.view(count, size, -1).max(1).values  # (P, second)
        weight_whole, weight_point = self.mix.weight.chunk(2, 1)
        shared = F.linear(whole, weight_whole, self.mix.bias)  # (P, third)
        points = F.linear(points, weight_point).view(count, size, -1) + shared.unsqueeze(1)
        points = F.relu(self.norm2(points.flatten(0, 1)), inplace=True)
        return self.out(points).view(count, size, -1).max(1).values
