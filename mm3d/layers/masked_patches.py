"""The network of Point-BERT that sees all patches of a cloud, hidden ones as a mask token, and a class token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mm3d.layers.patch_encoder import PatchEncoder, init_weights
from mm3d.layers.patches import Patches
from mm3d.masks import View


class SpecialTokens(nn.Module):
    """Class token with its position, and mask token, of width C.

    The position has two dimensions, so that weight decay applies, as to the official cls_pos (and not to the tokens).
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.empty(dim))
        self.cls_position = nn.Parameter(torch.empty(1, dim))
        self.mask_token = nn.Parameter(torch.empty(dim))
        for token in self.parameters():
            nn.init.trunc_normal_(token, std=0.02)


class Projector(nn.Sequential):
    """Features for the contrast: linear, GELU, linear, (B, C) -> (B, P)."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__(nn.Linear(dim, out), nn.GELU(), nn.Linear(out, out))
        self.apply(init_weights)


class MaskedPatches(nn.Module):
    """Patch encoder, special tokens and projector as one network, whose moving average is the key network.

    Order does not matter to attention, so the class token stands last, where its output alone is easily computed.

    Shapes: ``forward(patches, view)`` gives unit vectors of the class token, (B, P). ``tokens(patches, view)``: what enters
    the transformer for the patches, (B, G, C). ``context(tokens, centers)``: (B, G, C), (B, G, 3) -> (B, G + 1, C).
    """

    def __init__(self, encoder: PatchEncoder, special: SpecialTokens, project: Projector) -> None:
        super().__init__()
        self.encoder = encoder
        self.special = special
        self.project = project

    def tokens(self, patches: Patches, view: View | None = None) -> Tensor:
        if view is None:
            return self.encoder.embed_patches(patches.neighborhoods)
        mask, token = view.mask, self.special.mask_token
        if self.encoder.config.embed == "visible":
            chosen = patches.neighborhoods.flatten(0, 1)[mask.visible_index]
            return mask.merge(self.encoder.embed_patches(chosen), token)
        tokens = self.encoder.embed_patches(patches.neighborhoods)
        if view.replacement is not None:
            others = tokens.detach().flatten(0, 1)[view.replacement.source].view_as(tokens)
            tokens = torch.where(view.replacement.chosen.unsqueeze(-1), others, tokens)
        return mask.fill(tokens, token)

    def context(self, tokens: Tensor, centers: Tensor, last: int | None = None) -> Tensor:
        """Outputs of all tokens, the class token's last; with ``last=1`` of that alone."""
        position = self.encoder.position(centers)
        first, first_position = (
            token.to(tokens.dtype).expand(len(tokens), 1, -1)
            for token in (self.special.cls_token, self.special.cls_position)
        )
        return self.encoder.transformer(
            torch.cat([tokens, first], 1), torch.cat([position, first_position.to(position.dtype)], 1), last=last
        )

    def contrasted(self, cls: Tensor) -> Tensor:
        """Class tokens after the transformer as unit vectors: (B, C) -> (B, P) float32."""
        return F.normalize(self.project(cls).float(), dim=-1)

    def forward(self, patches: Patches, view: View | None = None) -> Tensor:
        return self.contrasted(self.context(self.tokens(patches, view), patches.centers, last=1)[:, 0])
