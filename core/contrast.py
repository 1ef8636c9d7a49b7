"""Momentum contrast: a queue of earlier keys, and the losses that tell a sample's own key from them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F


class KeyQueue(nn.Module):
    """The last N keys of all processes, which every process holds alike.

    Args:
        dim: width C of the keys.
        size: N.

    ``keys`` is (N, C), unit vectors: random ones at first. The oldest are overwritten first.

    Source: He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", Section 3.2.
    """

    keys: Tensor
    position: Tensor

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        self.register_buffer("keys", F.normalize(torch.randn(size, dim), dim=-1))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Put keys (B, C) of every process in the place of the oldest ones; of more than N the last N."""
        keys = gathered(keys.detach().to(self.keys.dtype))
        size = len(self.keys)
        start = self.position + max(len(keys) - size, 0)
        places = (start + torch.arange(min(len(keys), size), device=keys.device)) % size
        self.keys[places] = keys[-size:]
        self.position.copy_((self.position + len(keys)) % size)


def momentum_contrast(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of picking a sample's own key, among it and a queue of others.

    Args:
        query, key: (B, C) unit vectors, key i of query i.
        queue: (N, C) unit vectors.
        temperature: divides the products.

    Source: He et al., "MoCo", Eq. 1.
    """
    own = (query * key).sum(-1, keepdim=True)
    logits = torch.cat([own, query @ queue.T], 1).float() / temperature
    return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))


def mixed_contrast(mixed: Tensor, key: Tensor, queue: Tensor, temperature: float, share: Tensor) -> Tensor:
    """As :func:`momentum_contrast` for samples mixed with those of the reversed batch, which have two keys.

    Args:
        mixed: (B, C) unit vectors, sample i mixed with sample B - 1 - i.
        key: (B, C), those of the samples themselves; all of them are candidates.
        queue: (N, C), the other candidates.
        share: (B,) of sample i in mixture i; the cross-entropies of both keys are weighted by it.

    Source: Yu et al., "Point-BERT", Section 3.3; Point_BERT.forward in models/Point_BERT.py of its official code.
    """
    logits = (torch.cat([mixed @ key.T, mixed @ queue.T], 1).float() / temperature).log_softmax(-1)
    own = torch.arange(len(mixed), device=mixed.device)
    picked = share * logits[own, own] + (1 - share) * logits[own, own.flip(0)]
    return -picked.mean()


def gathered(x: Tensor) -> Tensor:
    """Tensors of equal shape of all processes, one after the other: (B, ...) -> (processes * B, ...), without gradient."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return x
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)
