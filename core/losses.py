"""Losses between a prediction and its target that know no domain."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from core.cosine import cosine_similarity


def scaled_cosine_error(prediction: Tensor, target: Tensor, gamma: float = 1.0) -> Tensor:
    """Mean of (1 - cos(prediction, target)) ** gamma over tokens: (..., C), (..., C) -> scalar, 0 without a token.

    Source: Hou et al., "GraphMAE", Eq. 2 (its official code calls gamma ``alpha_l``).
    """
    errors = (1 - cosine_similarity(prediction, target)).clamp(min=0).pow(gamma)
    return errors.mean() if errors.numel() else errors.sum()


def cross_entropy(logits: Tensor, ids: Tensor) -> Tensor:
    """Mean cross-entropy of hidden tokens in float32: (..., K) logits, (...) int64 ids -> scalar.

    Raises:
        ValueError: no token is given, whose mean would be NaN.
    """
    if ids.numel() == 0:
        raise ValueError("no hidden token to score")
    return F.cross_entropy(logits.flatten(0, -2).float(), ids.flatten())


def info_nce(query: Tensor, keys: Tensor, positive: Tensor, temperature: float) -> Tensor:
    """Contrastive loss: cross-entropy of picking each query's positive among keys by cosine similarity.

    Args:
        query: (Q, C). keys: (K, C). positive: (Q,) int64, the index of each query's own key.
        temperature: divides the similarities.

    Source: van den Oord et al., "Representation Learning with Contrastive Predictive Coding", Eq. 4.
    """
    similarity = F.normalize(query, dim=-1) @ F.normalize(keys, dim=-1).T
    return cross_entropy(similarity / temperature, positive)
