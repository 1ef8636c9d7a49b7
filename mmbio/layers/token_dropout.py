"""ESM's token dropout."""

from __future__ import annotations

from torch import Tensor

from mmbio.sequences import Sequences

TRAINED_SHARE = 0.15 * 0.8
"""Share of mask tokens that the published models were trained with."""


def token_dropout(x: Tensor, batch: Sequences, mask_id: int) -> Tensor:
    """Embeddings with those of mask tokens set to zero, scaled by how many a sequence has against :data:`TRAINED_SHARE`.

    A sequence of mask tokens only stays zero, where the official code divides by zero.

    Args:
        x: (T, C) token embeddings.
        batch: the ids that the network reads.

    Source: ESM2.forward of fair-esm.
    """
    masked = batch.ids == mask_id
    counts = x.new_zeros(len(batch)).index_add(0, batch.sample, masked.to(x.dtype))
    seen = (1 - counts / batch.lengths.clamp(min=1)).clamp(min=1e-6)
    scale = ((1 - TRAINED_SHARE) / seen)[batch.sample]
    return x * (scale * ~masked).unsqueeze(1).to(x.dtype)
