"""The class of every voxel of a LiDAR sweep on a pretrained backbone."""

from __future__ import annotations

from torch import Tensor, nn

from core.batchnorm import BatchNorm
from core.saving import Pretrained
from mm3d.config.sweep_finetune import VoxelSegmenterConfig
from mm3d.layers.voxel_backbone import VoxelBackbone, pooled
from mm3d.models.voxel_mae import VoxelBatch
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid


class VoxelSegmenter(Pretrained, nn.Module):
    """A batch norm and a linear layer on what all stages of the backbone say of a voxel's place.

    Args:
        config: the encoder's sizes and the names of the classes.

    Shapes: a batch is a :class:`~mm3d.models.voxel_mae.VoxelBatch` of T voxels. ``forward(batch)``: (T, number of
    classes) logits.

    The head is a plain one of this library: no paper on pretraining on voxels publishes one for the classes of voxels.
    """

    Config = VoxelSegmenterConfig

    def __init__(self, config: VoxelSegmenterConfig) -> None:
        super().__init__()
        self.config = config
        width = sum(config.encoder.channels) + config.encoder.out_channels
        self.encoder = VoxelBackbone(config.encoder)
        self.head = nn.Sequential(BatchNorm(width), nn.Linear(width, len(config.classes)))

    def tokenize(self, batch: VoxelBatch) -> SparseVoxels:
        """The voxels of a batch as a sparse tensor."""
        grid = VoxelGrid(batch.indices, self.config.encoder.grid.shape, len(batch.offsets) - 1, check=False)
        return SparseVoxels(batch.features, grid)

    def forward(self, batch: VoxelBatch) -> Tensor:
        """Logits of every voxel."""
        return self.head(self.tokens(batch))

    def tokens(self, batch: VoxelBatch) -> Tensor:
        """Features of single voxels, which the head reads: (T, sum of all widths)."""
        return self.encoder.at_voxels(self.tokenize(batch))

    def encode(self, batch: VoxelBatch) -> Tensor:
        """Features of whole sweeps: maximum and mean over the output's voxels, (B, 2 * out_channels)."""
        return pooled(self.encoder(self.tokenize(batch)))
