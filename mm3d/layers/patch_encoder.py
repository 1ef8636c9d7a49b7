"""The encoder that all systems of the Point-BERT family share: patches -> tokens -> transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.masking import Mask
from core.transformer import Transformer
from mm3d.config import PatchEncoderConfig
from mm3d.layers.mini_pointnet import MiniPointNet
from mm3d.layers.patches import Patches, PositionEmbedding, patch_centers, patchify


class PatchEncoder(nn.Module):
    """Embed patches with a mini-PointNet and let a transformer see them, or only the visible ones.

    The position of a patch is added before every block, and the projections of attention have no bias, as in the
    official code.

    Shapes: ``forward(patches, mask=None)``: (B, G, K, 3) -> (B, G, C), or (B, V, C) under an even mask.

    Source: Pang et al., "Point-MAE", Section 3.2; models/Point_MAE.py of its official code.
    """

    def __init__(self, config: PatchEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = MiniPointNet(config.embed_dim or config.dim, config.widths)
        self.reduce = nn.Linear(config.embed_dim, config.dim) if config.embed_dim else nn.Identity()
        self.position = PositionEmbedding(config.dim)
        self.transformer = Transformer(
            config.dim, config.depth, config.heads, qkv_bias=False, drop_path=config.drop_path
        )
        self.apply(init_weights)

    def centers(self, points: Tensor) -> Tensor:
        """The centres of these patches alone: (B, N, 3) -> (B, G, 3)."""
        return patch_centers(points, self.config.groups, self.config.skip_near_origin)

    def patchify(self, points: Tensor) -> Patches:
        """Patches of (B, N, 3) clouds by this encoder's settings."""
        return patchify(points, self.config.groups, self.config.group_size, self.config.skip_near_origin)

    def embed_patches(self, neighborhoods: Tensor) -> Tensor:
        """(B, G, K, 3) -> (B, G, C); packed (P, K, 3) -> (P, C)."""
        return self.reduce(self.embed(neighborhoods.flatten(0, -3))).view(*neighborhoods.shape[:-2], -1)

    def forward(self, patches: Patches, mask: Mask | None = None) -> Tensor:
        if mask is None:
            return self.transformer(self.embed_patches(patches.neighborhoods), self.position(patches.centers))
        if self.config.embed == "visible":
            tokens = self.embed_patches(mask.select_visible(patches.neighborhoods))
        else:
            tokens = mask.select_visible(self.embed_patches(patches.neighborhoods))
        return self.transformer(tokens, self.position(mask.select_visible(patches.centers)))


def init_weights(module: nn.Module) -> None:
    """Truncated normal of 0.02 for weights, zeros for biases of linear layers, as the official code."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def pooled(tokens: Tensor) -> Tensor:
    """Maximum and mean over tokens, concatenated: (B, N, C) -> (B, 2C)."""
    return torch.cat([tokens.amax(1), tokens.mean(1)], -1)
