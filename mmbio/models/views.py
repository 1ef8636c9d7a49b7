"""Two masked views of a batch: their masks, and losses on both."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgraph.attribute_masks import AttributeMask


class Pair(NamedTuple):
    """Something of the first and of the second view."""

    first: Tensor
    second: Tensor


class TwoMasks(AttributeMask):
    """Two masks of the same batch: this is the first, ``second`` the other."""

    def __init__(self, first: AttributeMask, second: AttributeMask) -> None:
        assert first.offsets is not None
        super().__init__(first.hidden, first.offsets, first.edges, first.scored)
        self.second = second

    def to(self, device: torch.device | str) -> TwoMasks:
        return TwoMasks(super().to(device), self.second.to(device))


def pair_cross_entropy(logits: Pair, ids: Pair) -> Tensor:
    """Cross-entropy of the first view plus that of the second, each the mean over what it hides (0 where that is nothing)."""
    terms = [
        F.cross_entropy(told.float(), true, reduction="sum") / max(len(true), 1)
        for told, true in zip(logits, ids, strict=True)
    ]
    return terms[0] + terms[1]


def two_views_loss(temperature: float, triplet_weight: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Triplet masked contrastive learning of (3, B, C): two masked views and the whole molecules.

    Every first view is told from the cosines of all second views; the cosine of its own is not in the denominator, as in the
    official code, so that the term can be negative. A single molecule has nothing to be told from: 0. The triplet term is 0
    where a whole molecule is nearer to its first view than to its second, else the difference of the distances.

    Source: loss_cl and loss_tri in pretrain.py of Mole-BERT's official code; Eq. 6 to 8 of the paper.
    """

    def loss(projected: Tensor, same: Tensor) -> Tensor:
        first, second, whole = projected.float()
        near, far = (F.pairwise_distance(whole, view) for view in (first, second))
        triplet = (near - far).clamp(min=0).mean()
        if len(first) < 2:
            return triplet_weight * triplet
        cosines = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature
        own = F.one_hot(same, len(first)).bool()
        others = cosines.masked_fill(own, -torch.inf).logsumexp(1)
        return (others - cosines[own]).mean() + triplet_weight * triplet

    return loss
