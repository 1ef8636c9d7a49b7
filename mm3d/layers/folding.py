"""A decoder that folds a small grid around coarse points."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.batchnorm import BatchNorm

REACH = 0.05  # half the side of the folded grid, in units of the cloud


class FoldingDecoder(nn.Module):
    """A patch from its feature: coarse points by an MLP, then a grid around each of them, bent by a second one.

    The second MLP reads [feature, place in the grid, coarse point] of every fine point. Its first layer is a sum of three
    parts, each of which is computed once a patch, once a place and once a coarse point; the function is the same.

    Args:
        dim: width C of the features.
        points: fine points K of a patch, a multiple of grid ** 2.
        coarse_width: hidden width of the first MLP.
        fold_width: hidden width of the second.
        grid: side of the grid.

    Shapes: (P, C) -> coarse (P, K / grid ** 2, 3), fine (P, K, 3), relative to the patch's centre.

    Source: Yang et al., "FoldingNet", Section 3.2; Yuan et al., "PCN"; class Decoder in models/dvae.py of Point-BERT's
    official code.
    """

    places: Tensor

    def __init__(self, dim: int, points: int, coarse_width: int = 1024, fold_width: int = 512, grid: int = 2) -> None:
        super().__init__()
        if points % grid**2:
            raise ValueError(f"{points} points are not a multiple of {grid**2}")
        self.coarse = nn.Sequential(
            nn.Linear(dim, coarse_width),
            nn.ReLU(inplace=True),
            nn.Linear(coarse_width, coarse_width),
            nn.ReLU(inplace=True),
            nn.Linear(coarse_width, 3 * points // grid**2),
        )
        self.fold1 = nn.Linear(dim + 2 + 3, fold_width)
        self.norm1 = BatchNorm(fold_width)
        self.fold2 = nn.Linear(fold_width, fold_width)
        self.norm2 = BatchNorm(fold_width)
        self.out = nn.Linear(fold_width, 3)
        line = torch.linspace(-REACH, REACH, grid)
        places = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).view(-1, 2)
        self.register_buffer("places", places, persistent=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        patches, dim = features.shape
        coarse = self.coarse(features).view(patches, -1, 3)
        of_feature, of_place, of_point = self.fold1.weight.split([dim, 2, 3], 1)
        whole = F.linear(features, of_feature, self.fold1.bias)[:, None, None]
        x = (
            whole + F.linear(self.places, of_place) + F.linear(coarse, of_point).unsqueeze(2)
        )  # (P, coarse, places, width)
        x = F.relu(self.norm1(x.flatten(0, 2)), inplace=True)
        x = F.relu(self.norm2(self.fold2(x)), inplace=True)
        moved = self.out(x).view(patches, coarse.shape[1], -1, 3) + coarse.unsqueeze(2)
        return coarse, moved.flatten(1, 2)
