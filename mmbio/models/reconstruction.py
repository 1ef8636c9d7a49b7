"""What models say of hidden tokens and atoms."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from core.masking import Mask


class Filled(NamedTuple):
    """What a model makes of hidden tokens: the mask, the tokens it finds likeliest (M,), and all chances (M, K)."""

    mask: Mask
    ids: Tensor
    chances: Tensor

    @classmethod
    def of(cls, mask: Mask, logits: Tensor) -> Filled:
        """From logits (M, K)."""
        chances = logits.float().softmax(-1)
        return cls(mask, chances.argmax(-1), chances)
