"""Masked pillars: an encoder on visible ones, decoders that also see where the others stand, and linear heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.masking import Mask
from mm3d.config.pillars import PillarEncoderConfig
from mm3d.layers.pillar_encoder import PillarEncoder, SparseTransformer
from mm3d.layers.pillars import Pillars, in_full
from mm3d.pillars.masks import PillarMask


class PillarLatent(NamedTuple):
    """What was made of masked pillars.

    ``visible``: (V, C) the encoder's output. ``decoded``: by decoder, (V + H + E, C) tokens of the visible pillars, of the
    hidden ones and of the empty ones that the mask names.
    """

    visible: Tensor
    decoded: dict[str, Tensor]

    def hidden(self, decoder: str, mask: Mask) -> Tensor:
        """Tokens of the hidden pillars: (H, C)."""
        return self.decoded[decoder][len(self.visible) :][: len(mask.hidden_index)]


class MaskedPillars(nn.Module):
    """Encoder and decoders. One mask token stands for every pillar that was not shown, hidden or empty.

    The decoder is told by the mask tokens where hidden pillars stand, as in the released code of both systems: that a
    pillar there holds points is not a question, except beside the empty ones that a :class:`PillarMask` names.

    Args:
        config: of the encoder; decoders have the same width, heads and windows.
        decoders: their names.
        depth: blocks of each decoder.
    """

    def __init__(self, config: PillarEncoderConfig, decoders: Sequence[str], depth: int) -> None:
        super().__init__()
        self.backbone = PillarEncoder(config)
        self.mask_token = nn.Parameter(torch.empty(config.dim).normal_(std=0.02))
        self.decoders = nn.ModuleDict(
            {
                name: SparseTransformer(config.dim, depth, config.heads, config.hidden, config.window)
                for name in decoders
            }
        )

    def forward(self, pillars: Pillars, mask: Mask) -> PillarLatent:
        visible = self.backbone(pillars, mask)
        places = [mask.select_visible(pillars.indices), mask.select_hidden(pillars.indices)]
        if isinstance(mask, PillarMask):
            places.append(mask.empty)
        indices = torch.cat(places)
        unseen = self.mask_token.to(visible.dtype).expand(len(indices) - len(visible), -1)
        tokens = torch.cat([visible, unseen])
        return PillarLatent(visible, {name: decoder(tokens, indices) for name, decoder in self.decoders.items()})


class HiddenHead(nn.Module):
    """A linear layer on a decoder's tokens of the hidden pillars.

    Args:
        decoder: whose tokens.
        dim: their width.
        shape: of the prediction for one pillar.
        squash: applied to it, such as ``torch.tanh``.

    Shapes: -> (H, *shape), float32.
    """

    def __init__(
        self, decoder: str, dim: int, shape: tuple[int, ...], squash: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.decoder, self.shape, self.squash = decoder, shape, squash
        self.linear = nn.Linear(dim, torch.Size(shape).numel())

    def forward(self, latent: PillarLatent, pillars: Pillars, mask: Mask) -> Tensor:
        made = in_full(self.linear(latent.hidden(self.decoder, mask)))
        made = made if self.squash is None else self.squash(made)
        return made.view(-1, *self.shape)


class EmptyHead(nn.Module):
    """One logit for every pillar that the decoder saw, high where it holds no point: (V + H + E,), float32."""

    def __init__(self, decoder: str, dim: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.linear = nn.Linear(dim, 1)

    def forward(self, latent: PillarLatent, pillars: Pillars, mask: Mask) -> Tensor:
        return in_full(self.linear(latent.decoded[self.decoder])).squeeze(1)
