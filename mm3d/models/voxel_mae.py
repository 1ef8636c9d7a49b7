"""Voxel-MAE of Min et al.: predict which cells of a street are occupied from a few of its voxels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.masked_model import MaskedModel, Objective
from core.masking import Mask
from core.random import Randomness
from core.saving import Pretrained
from mm3d.config.voxels import VoxelMAEConfig
from mm3d.layers.voxel_backbone import VoxelBackbone, pooled
from mm3d.ops.kernel_map import unravel
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid
from mm3d.ops.voxelize import voxel_centers
from mm3d.voxels.masks import range_mask


class VoxelBatch(NamedTuple):
    """Voxels of B sweeps, one after the other, each sorted: features (T, C), indices (T, 4), offsets (B + 1,)."""

    features: Tensor
    indices: Tensor
    offsets: Tensor


class OccupancyReconstruction(NamedTuple):
    """What a model makes of sweeps of which it saw some voxels; indices are (·, 4) int64: batch, z, y, x.

    ``predicted``: of the cells that were not shown, the most probable ones of every sweep, as many as were hidden.
    """

    visible: Tensor
    hidden: Tensor
    predicted: Tensor
    mask: Mask


class OccupancyDecoder(nn.Module):
    """Three dense transposed convolutions from the encoder's output to one logit a cell.

    Shapes: voxels (M, C) on (2, Y / 8, X / 8) -> (B, 1, Z, Y, X).

    Source: Min et al., official code (pcdet/models/backbones_3d/voxel_mae.py).
    """

    def __init__(self, config: VoxelMAEConfig) -> None:
        super().__init__()
        wide, narrow = config.decoder_channels
        self.layers = nn.Sequential(
            *_up(config.encoder.out_channels, wide, (2, 2, 2)),
            *_up(wide, narrow, (4, 2, 2)),
            _upsample(narrow, 1, (3, 2, 2)),
        )

    def forward(self, latent: SparseVoxels, voxels: SparseVoxels, mask: Mask) -> Tensor:
        return self.layers(latent.dense())


def _upsample(inputs: int, outputs: int, stride: tuple[int, int, int]) -> nn.ConvTranspose3d:
    return nn.ConvTranspose3d(inputs, outputs, 3, stride, padding=1, output_padding=1, bias=False)


def _up(inputs: int, outputs: int, stride: tuple[int, int, int]) -> list[nn.Module]:
    return [_upsample(inputs, outputs, stride), nn.BatchNorm3d(outputs), nn.ReLU()]


class VoxelMAE(Pretrained, MaskedModel):
    """Hide most voxels of a sweep, encode the others sparsely, and predict for every cell of the scene if it is occupied.

    Args:
        config: sizes, mask and loss; the defaults are the published model.

    Shapes: a batch is a :class:`VoxelBatch`. ``model(batch, mask)`` gives a :class:`~core.masked_model.MaskedOutput` with
    part ``occupancy``; ``encode`` gives (B, 2 * out_channels), ``tokens`` (T, sum of all widths).

    Paper and code differ in the mask. The paper hides 90, 70 and 50 % of the voxels within 30 m, to 50 m and beyond. Of
    the released versions one draws voxels with replacement at one ratio, one measures in cells from the grid's corner,
    and the last in metres with ratios r, r - 0.2 and r - 0.2. Users could not reproduce the published numbers with the
    code, so nothing shows that another mask than the paper's made them: the paper's is the default here, the others are
    settings (``mask``). No mask here draws with replacement.

    Source: Min et al., "Occupancy-MAE: Self-supervised Pre-training Large-scale LiDAR Point Clouds with Masked Occupancy
    Autoencoders" (first called Voxel-MAE), IEEE T-IV 2023, and its official code.
    """

    Config = VoxelMAEConfig
    encoder: VoxelBackbone

    def __init__(self, config: VoxelMAEConfig) -> None:
        loss = balanced_occupancy_loss if config.balance == "classes" else occupancy_loss
        objective = Objective(OccupancyDecoder(config), occupied_cells, loss)
        super().__init__(VoxelBackbone(config.encoder), {"occupancy": objective})
        self.config = config

    def tokenize(self, batch: VoxelBatch) -> SparseVoxels:
        """The voxels of a batch as a sparse tensor."""
        grid = VoxelGrid(batch.indices, self.config.encoder.grid.shape, len(batch.offsets) - 1, check=False)
        return SparseVoxels(batch.features, grid)

    def draw_mask(self, batch: VoxelBatch, randomness: Randomness = None) -> Mask:
        """Which voxels are hidden, by their distance from the sensor."""
        mask = self.config.mask
        return range_mask(self.distance(batch), batch.offsets.cpu(), mask.edges, mask.ratios, randomness)

    def distance(self, batch: VoxelBatch) -> Tensor:
        """Horizontal distance of every voxel in what the mask measures: (T,) float32 on the CPU."""
        cells = batch.indices[:, 1:].cpu()
        if self.config.mask.measure == "cells":
            return cells[:, 1:].float().norm(dim=1)
        grid = self.config.encoder.grid
        return voxel_centers(cells, grid.low, grid.voxel_size)[:, :2].norm(dim=1)

    def tokens(self, batch: VoxelBatch) -> Tensor:
        """Features of single voxels, nothing hidden: what all stages say of their places, (T, sum of all widths)."""
        return self.encoder.at_voxels(self.tokenize(batch))

    def encode(self, batch: VoxelBatch) -> Tensor:
        """Features of whole sweeps: maximum and mean over the output's voxels, (B, 2 * out_channels)."""
        return pooled(self.encoder(self.tokenize(batch)))

    @torch.no_grad()
    def reconstruct(self, batch: VoxelBatch, mask: Mask | None = None) -> OccupancyReconstruction:
        """Visible and hidden voxels, and the cells that the model finds most probable."""
        output = self(batch, mask)
        mask, shape = output.mask, self.config.encoder.grid.shape
        visible, hidden = mask.select_visible(batch.indices), mask.select_hidden(batch.indices)
        logits = output.predictions["occupancy"].flatten(1).float()
        shown = VoxelGrid(visible, shape, len(mask), check=False).keys
        logits.view(-1)[shown] = -torch.inf
        best = [
            scene.topk(count).indices.sort().values + number * logits.shape[1]
            for number, (scene, count) in enumerate(zip(logits, mask.counts.tolist(), strict=True))
        ]
        return OccupancyReconstruction(visible, hidden, unravel(torch.cat(best), shape), mask)


def occupied_cells(voxels: SparseVoxels, mask: Mask) -> Tensor:
    """Numbers of the cells that hold voxels, shown or hidden, in the flattened prediction: (T,) int64."""
    return voxels.grid.keys


def occupancy_loss(logits: Tensor, occupied: Tensor) -> Tensor:
    """Binary cross-entropy over all cells, given the numbers of the occupied ones; no dense target is made.

    Shapes: (B, 1, Z, Y, X), (T,) -> scalar.
    """
    flat = logits.float().flatten()
    return F.softplus(flat).mean() - flat[occupied].sum() / flat.numel()


def balanced_occupancy_loss(logits: Tensor, occupied: Tensor) -> Tensor:
    """Binary cross-entropy in which the occupied cells together weigh as much as the empty ones."""
    flat = logits.float().flatten()
    those = flat[occupied]
    empty = (F.softplus(flat).sum() - F.softplus(those).sum()) / max(flat.numel() - len(those), 1)
    return (F.softplus(-those).sum() / max(len(those), 1) + empty) / 2
