"""Point-MAE: masked autoencoders on patches of points."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.masked_model import MaskedModel, Objective
from core.masking import Mask, block_mask, random_mask
from core.random import Randomness
from core.saving import Pretrained
from core.transformer import Transformer
from mm3d.config import PatchEncoderConfig, PointMAEConfig
from mm3d.layers.patch_encoder import PatchEncoder, pooled
from mm3d.layers.patches import Patches, PositionEmbedding
from mm3d.looks import Looks, masked_rows
from mm3d.models.reconstruction import Reconstruction
from mm3d.ops import chamfer_l2
from mm3d.rows import PictureRow


class PointDecoder(nn.Module):
    """A shallow transformer that reads visible tokens and a mask token at each hidden place, and gives points.

    Shapes: latent (B, V, C) -> (B * M, K, 3), relative to the centres of the hidden patches.

    Source: Pang et al., "Point-MAE", Sections 3.2 and 3.3. Its decoder has a position embedding of its own.
    """

    def __init__(self, config: PointMAEConfig) -> None:
        super().__init__()
        dim, self.group_size = config.encoder.dim, config.encoder.group_size
        self.mask_token = nn.Parameter(torch.empty(dim))
        self.position = PositionEmbedding(dim)
        self.transformer = Transformer(
            dim, config.decoder_depth, config.decoder_heads, qkv_bias=False, drop_path=config.encoder.drop_path
        )
        self.points = nn.Linear(dim, 3 * self.group_size)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        for module in self.transformer.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, latent: Tensor, patches: Patches, mask: Mask) -> Tensor:
        visible, hidden = mask.select_visible(patches.centers), mask.select_hidden(patches.centers)
        batch, count, _ = hidden.shape
        # Order does not matter to attention: hidden tokens go last, so that they are easily taken out again.
        tokens = torch.cat([latent, self.mask_token.to(latent.dtype).expand(batch, count, -1)], 1)
        position = self.position(torch.cat([visible, hidden], 1))
        decoded = self.transformer(tokens, position, last=count)
        return self.points(decoded).view(batch * count, self.group_size, 3)


class PointMAE(Pretrained, Looks, MaskedModel):
    """Hide most patches of a cloud, encode the rest, and predict the points of the hidden ones by Chamfer distance.

    Args:
        config: sizes and mask; the defaults are the published model.

    Shapes: a batch is points (B, N, 3), centred and within the unit sphere. ``model(points, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with part ``chamfer``; ``encode`` gives (B, 2C).

    Source: Pang et al., "Masked Autoencoders for Point Cloud Self-supervised Learning", ECCV 2022, and its official
    code where the two differ: projections without bias, positions added before every block, no class token.
    """

    Config = PointMAEConfig
    encoder: PatchEncoder

    def __init__(self, config: PointMAEConfig) -> None:
        decoder = PointDecoder(config)
        super().__init__(PatchEncoder(config.encoder), {"chamfer": Objective(decoder, hidden_points, chamfer_l2)})
        self.config = config

    @property
    def patching(self) -> PatchEncoderConfig:
        """What says how many patches a cloud has, and of how many points."""
        return self.config.encoder

    def tokenize(self, batch: Tensor) -> Patches:
        """Patches of (B, N, 3) clouds."""
        return self.encoder.patchify(batch)

    def draw_mask(self, batch: Tensor, randomness: Randomness = None) -> Mask:
        """Which of the G patches of every cloud are hidden."""
        if self.config.mask == "block":
            return block_mask(self.tokenize(batch).centers, self.config.mask_ratio, randomness)
        return random_mask((len(batch), self.config.encoder.groups), self.config.mask_ratio, randomness)

    def encode(self, batch: Tensor) -> Tensor:
        """Features of whole clouds: maximum and mean of all patch tokens, (B, N, 3) -> (B, 2C)."""
        return pooled(self.encoder(self.tokenize(batch)))

    @torch.no_grad()
    def reconstruct(self, batch: Tensor, mask: Mask | None = None) -> Reconstruction:
        """Visible, predicted and true points of clouds in their own coordinates."""
        output = self(batch, mask)
        patches = self.tokenize(batch)
        whole = patches.neighborhoods + patches.centers.unsqueeze(2)
        centers = output.mask.select_hidden(patches.centers).unsqueeze(2)
        predicted = output.predictions["chamfer"].view(*centers.shape[:2], -1, 3).float() + centers
        return Reconstruction(
            output.mask.select_visible(whole), predicted, output.mask.select_hidden(whole), output.mask
        )

    def look(self, points: Tensor, names: Sequence[str], randomness: Randomness = None) -> list[PictureRow]:
        """Input, visible and reconstructed points of clouds."""
        return masked_rows(self, points, names, randomness)

    def shown(self) -> str:
        seen = 1 - self.config.mask_ratio
        return f"The network saw {seen:.0%} of the patches (blue) and gave the points of the others (orange)."

    def hide(self, ratio: float) -> None:
        self.config.mask_ratio = ratio


def hidden_points(patches: Patches, mask: Mask) -> Tensor:
    """The points of the hidden patches relative to their centres: (B * M, K, 3)."""
    return mask.select_hidden(patches.neighborhoods).flatten(0, 1)
