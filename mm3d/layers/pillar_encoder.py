"""Points to pillar tokens, and the sparse transformer (SST) on them."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.batchnorm import BatchNorm
from core.masking import Mask
from core.post_norm import PostNormBlock
from mm3d.config.pillars import PillarEncoderConfig
from mm3d.layers.pillars import Pillars, in_full
from mm3d.layers.windows import WindowAttention, regions


class PillarFeatures(nn.Module):
    """Two shared layers on points, each followed by a maximum over the pillar, the second reading the first's maximum too.

    A point is told by its features, its offset from the mean of its pillar's points, and that from the pillar's middle.

    Shapes: pillars with points (P, C) -> (T, dim).

    Source: the dynamic voxel feature encoder of Zhou et al., "End-to-End Multi-View Fusion", in the form that SST uses
    (mmdet3d/models/voxel_encoders/voxel_encoder.py, DynamicVFE).
    """

    def __init__(self, features: int, point_dim: int, dim: int, norm_momentum: float = 0.01) -> None:
        super().__init__()
        self.features = features
        self.point = nn.Linear(features + 6, point_dim, bias=False)
        self.point_norm = BatchNorm(point_dim, eps=1e-3, momentum=norm_momentum)
        self.mix = nn.Linear(2 * point_dim, dim, bias=False)
        self.mix_norm = BatchNorm(dim, eps=1e-3, momentum=norm_momentum)

    def forward(self, pillars: Pillars) -> Tensor:
        points, pillar_of = pillars.points, pillars.pillar_of
        if points.shape[1] != self.features:
            raise ValueError(f"points have {points.shape[1]} features, expected {self.features}")
        with torch.autocast(
            points.device.type, enabled=False
        ):  # half precision would round far coordinates to decimetres
            return self._embed(pillars, points, pillar_of)

    def _embed(self, pillars: Pillars, points: Tensor, pillar_of: Tensor) -> Tensor:
        xyz = points[:, :3]
        known = [points, xyz - pillars.centroids[pillar_of], xyz - pillars.centers[pillar_of]]
        first = F.relu(self.point_norm(self.point(torch.cat(known, dim=1))))
        whole = pillars.max(first).index_select(0, pillar_of)
        second = F.relu(self.mix_norm(self.mix(torch.cat([first, whole], dim=1))))
        return pillars.max(second)


class SparseTransformer(nn.Module):
    """Blocks of two post-norm layers: attention within windows, then within windows moved by half of their edge.

    Args:
        dim: width C. depth: number of blocks. heads, hidden: of each layer. window: edge in pillars.

    Shapes: ``forward(x, indices)``: (T, C) tokens of pillars (T, 4) in any order -> (T, C).

    Source: Fan et al., "Embracing Single Stride 3D Object Detector with Sparse Transformer", Section 3; official code
    mmdet3d/models/sst/sst_basic_block_v2.py (GELU, layer norm after each branch, weights by Glorot).
    """

    def __init__(self, dim: int, depth: int, heads: int, hidden: int, window: int) -> None:
        super().__init__()
        self.dim, self.window = dim, window
        self.layers = nn.ModuleList(
            PostNormBlock(WindowAttention(dim, heads), dim, hidden) for _ in range(2 * depth)
        )  # fmt: skip
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
        for layer in cast(list[PostNormBlock], list(self.layers)):
            attention = cast(WindowAttention, layer.attn)
            nn.init.zeros_(attention.qkv.bias)
            nn.init.zeros_(attention.proj.bias)

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        both = [regions(indices, self.window, moved, self.dim) for moved in (False, True)]
        for number, layer in enumerate(self.layers):
            x = layer(x, both[number % 2])
        return x


class PillarEncoder(nn.Module):
    """Pillar features and a sparse transformer: what is pretrained, and what a detector starts from.

    Shapes: ``forward(pillars, mask=None)``: tokens (V, dim) of the visible pillars, in the order of
    ``mask.select_visible``; of all T without a mask.
    """

    def __init__(self, config: PillarEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = PillarFeatures(config.features, config.point_dim, config.dim, config.norm_momentum)
        self.transformer = SparseTransformer(config.dim, config.depth, config.heads, config.hidden, config.window)

    def forward(self, pillars: Pillars, mask: Mask | None = None) -> Tensor:
        if mask is None:
            return self.transformer(self.embed(pillars), pillars.indices)
        visible = pillars.part(~mask.hidden, mask.visible_offsets)
        if (
            self.training and self.config.embed == "all"
        ):  # in evaluation a pillar's token depends on its own points alone
            return self.transformer(mask.select_visible(self.embed(pillars)), visible.indices)
        return self.transformer(self.embed(visible), visible.indices)


def pooled(tokens: Tensor, pillars: Pillars) -> Tensor:
    """Maximum and mean over the pillars of each sweep: (T, C) -> (B, 2C); every sweep has a pillar."""
    lengths = pillars.offsets.diff()
    largest = torch.segment_reduce(in_full(tokens), "max", lengths=lengths, axis=0)
    sums = tokens.new_zeros(len(lengths), tokens.shape[1]).index_add(0, pillars.indices[:, 0], tokens)
    return torch.cat([largest, sums / lengths[:, None]], dim=1)
