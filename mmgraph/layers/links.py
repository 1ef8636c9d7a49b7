"""Telling edges from pairs that are none: what decoders of pairs share, and the loss."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from core.masking import Mask
from mmgraph.edge_masks import EdgeMask
from mmgraph.graph import Graphs


class LinkHead(nn.Module):
    """A decoder that gives a logit for every pair of a mask; a subclass says how it scores pairs."""

    def forward(self, latent: Any, graphs: Graphs, mask: Mask) -> Tensor:
        assert isinstance(mask, EdgeMask)
        return self.score(latent, mask.pairs(graphs))

    def score(self, latent: Any, pairs: Tensor) -> Tensor:
        """(P,) logits of (2, P) pairs of nodes."""
        raise NotImplementedError


def link_labels(graphs: Graphs, mask: Mask) -> Tensor:
    """(M + N,) float32, one for the scored edges of a mask and zero for its pairs that are none."""
    assert isinstance(mask, EdgeMask)
    return mask.labels


def link_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy, the mean over edges plus the mean over pairs that are none; what is not there counts zero.

    Source: Li et al., "MaskGAE", Eq. 6; Tan et al., "MGAE", Eq. 7.
    """
    terms = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    edges = labels.sum()
    return (terms * labels).sum() / edges.clamp(min=1) + (terms * (1 - labels)).sum() / (len(labels) - edges).clamp(
        min=1
    )
