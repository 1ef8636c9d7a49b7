"""Sparse convolutions as layers, and the block that backbones are made of."""

from __future__ import annotations

import math

import torch
from torch import nn

from core.batchnorm import BatchNorm
from mm3d.ops.kernel_map import Triple
from mm3d.ops.sparse_conv import strided_conv, submanifold_conv
from mm3d.ops.voxel_grid import SparseVoxels


class SubmanifoldConv(nn.Module):
    """Submanifold convolution without bias: the voxels stay, (N, inputs) -> (N, outputs)."""

    def __init__(self, inputs: int, outputs: int, size: Triple = (3, 3, 3)) -> None:
        super().__init__()
        self.weight = new_weight(inputs, outputs, size)

    def forward(self, x: SparseVoxels) -> SparseVoxels:
        return submanifold_conv(x, self.weight)


class StridedConv(nn.Module):
    """Strided convolution without bias, onto the coarser grid of all voxels that it reaches."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: Triple = (3, 3, 3),
        stride: Triple = (2, 2, 2),
        padding: Triple = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.weight = new_weight(inputs, outputs, size)
        self.stride, self.padding = stride, padding

    def forward(self, x: SparseVoxels) -> SparseVoxels:
        return strided_conv(x, self.weight, self.stride, self.padding)


def new_weight(inputs: int, outputs: int, size: Triple) -> nn.Parameter:
    """(kz, ky, kx, inputs, outputs), uniform within 1 / sqrt(inputs * volume), as torch's and spconv's layers begin."""
    bound = 1 / math.sqrt(inputs * math.prod(size))
    return nn.Parameter(torch.empty(*size, inputs, outputs).uniform_(-bound, bound))


class ConvBlock(nn.Module):
    """Convolution, batch norm over the voxels, ReLU."""

    def __init__(self, conv: SubmanifoldConv | StridedConv, momentum: float = 0.01) -> None:
        super().__init__()
        self.conv = conv
        self.norm = BatchNorm(conv.weight.shape[-1], eps=1e-3, momentum=momentum)

    def forward(self, x: SparseVoxels) -> SparseVoxels:
        y = self.conv(x)
        return y.with_features(self.norm(y.features).relu())
