"""What a masked model makes of clouds of which it saw a part."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from core.masking import Mask


class Reconstruction(NamedTuple):
    """Points in the coordinates of the input.

    ``visible``: points of the patches that were seen, (B, V, K, 3). ``predicted``: points given for the hidden patches,
    (B, M, K, 3). ``hidden``: (B, M, K, 3) what is really there. Under a mask that hides unequally many patches of the clouds
    all are packed, (patches, K, 3).
    """

    visible: Tensor
    predicted: Tensor
    hidden: Tensor
    mask: Mask

    def of_cloud(self, index: int) -> tuple[Tensor, Tensor]:
        """Visible and predicted points of one cloud: (P, 3), (Q, 3)."""
        parts = ((self.visible, self.mask.visible_offsets), (self.predicted, self.mask.hidden_offsets))
        visible, predicted = (
            patches.flatten(0, -3)[offsets[index] : offsets[index + 1]].flatten(0, 1) for patches, offsets in parts
        )
        return visible, predicted
