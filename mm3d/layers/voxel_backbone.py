"""The sparse backbone of SECOND, CenterPoint and PV-RCNN: eight times coarser in four stages."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.masking import Mask
from mm3d.config.voxels import VoxelEncoderConfig
from mm3d.layers.sparse import ConvBlock, StridedConv, SubmanifoldConv
from mm3d.ops.kernel_map import Triple, ravel
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid


class VoxelStages(NamedTuple):
    """What each stage makes of voxels: strides 1, 2, 4 and 8, and the output, whose cells along z are joined."""

    stages: tuple[SparseVoxels, ...]
    out: SparseVoxels


class VoxelBackbone(nn.Module):
    """Submanifold and strided convolutions, each with batch norm and ReLU.

    Shapes: voxels (N, features) on a grid (Z, Y, X) -> stages of the configured widths on grids that halve from one to
    the next, and an output (M, out_channels) on (2, Y / 8, X / 8) where Z is 41.

    Source: VoxelBackBone8x of OpenPCDet (pcdet/models/backbones_3d/spconv_backbone.py), after Yan et al., "SECOND", 2018.
    """

    def __init__(self, config: VoxelEncoderConfig) -> None:
        super().__init__()
        self.config = config
        first, *others = config.channels

        def block(conv: SubmanifoldConv | StridedConv) -> ConvBlock:
            return ConvBlock(conv, config.norm_momentum)

        self.stem = block(SubmanifoldConv(config.features, first))
        stages = [nn.Sequential(block(SubmanifoldConv(first, first)))]
        for number, (before, channels) in enumerate(zip(config.channels[:3], others, strict=True)):
            down = StridedConv(before, channels, padding=(0 if number == 2 else 1, 1, 1))
            same = [block(SubmanifoldConv(channels, channels)) for _ in range(2)]
            stages.append(nn.Sequential(block(down), *same))
        self.stages = nn.ModuleList(stages)
        self.out = block(StridedConv(config.channels[3], config.out_channels, (3, 1, 1), (2, 1, 1), (0, 0, 0)))

    def forward(self, voxels: SparseVoxels, mask: Mask | None = None) -> SparseVoxels:
        """The output for the visible voxels; for all without a mask."""
        return self.walk(voxels if mask is None else visible_part(voxels, mask)).out

    def at_voxels(self, voxels: SparseVoxels) -> Tensor:
        """What every stage says of the place of each voxel, joined: (N, sum of all widths).

        Of the coarser voxels whose field holds a voxel, the one whose field's middle is nearest to it is read.
        """
        stages, out = self.walk(voxels)
        cells, found = voxels.grid.indices, [stages[0].features]
        for number, stage in enumerate((*stages[1:], out)):
            cells = _coarser(cells, stage.grid.shape, flat=number == 3, shifted=number >= 2)
            place = torch.searchsorted(stage.grid.keys, ravel(cells, stage.grid.shape))
            found.append(stage.features[place])
        return torch.cat(found, dim=1)

    def walk(self, voxels: SparseVoxels) -> VoxelStages:
        """The outputs of all stages."""
        found = []
        voxels = self.stem(voxels)
        for stage in self.stages:
            voxels = stage(voxels)
            found.append(voxels)
        return VoxelStages(tuple(found), self.out(voxels))


def _coarser(cells: Tensor, shape: Triple, flat: bool, shifted: bool) -> Tensor:
    """Cells of the next stage; ``flat`` where y and x stay, ``shifted`` where z is not padded."""
    z = (cells[:, 1] - int(shifted)).div(2, rounding_mode="floor").clamp(0, shape[0] - 1)
    plane = cells[:, 2:] if flat else cells[:, 2:].div(2, rounding_mode="floor")
    return torch.cat([cells[:, :1], z[:, None], plane], dim=1)


def visible_part(voxels: SparseVoxels, mask: Mask) -> SparseVoxels:
    """The visible voxels, on a grid of their own."""
    grid = VoxelGrid(mask.select_visible(voxels.grid.indices), voxels.grid.shape, len(mask), check=False)
    return SparseVoxels(mask.select_visible(voxels.features), grid)


def pooled(voxels: SparseVoxels) -> Tensor:
    """Maximum and mean over the voxels of each scene: (N, C) -> (B, 2C); zeros for a scene without voxels."""
    scene, batch = voxels.grid.indices[:, 0], voxels.grid.batch_size
    place = scene[:, None].expand_as(voxels.features)
    zeros = voxels.features.new_zeros(batch, voxels.features.shape[1])
    largest = zeros.scatter_reduce(0, place, voxels.features, "amax", include_self=False)
    counts = voxels.grid.counts.clamp(min=1)[:, None]
    return torch.cat([largest, zeros.index_add(0, scene, voxels.features) / counts], dim=1)
