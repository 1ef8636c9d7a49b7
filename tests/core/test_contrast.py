"""The queue of keys and its two losses against plain sums."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from core.contrast import KeyQueue, mixed_contrast, momentum_contrast
from core.random import generator


def units(count: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(count, 5, generator=generator(seed, "units")), dim=-1)


def test_the_oldest_keys_are_overwritten_around_the_end() -> None:
    torch.manual_seed(0)
    queue = KeyQueue(5, 7)
    assert torch.allclose(queue.keys.norm(dim=-1), torch.ones(7))
    keys = units(25)
    for part in keys[:20].split(4):
        queue.push(part)
    # of 20 keys the last seven remain; key i stands at place i modulo 7
    for index in range(13, 20):
        assert torch.equal(queue.keys[index % 7], keys[index])
    assert int(queue.position) == 20 % 7
    queue.push(keys[:16])  # more than there is room for
    for index in range(9, 16):
        assert torch.equal(queue.keys[(20 + index) % 7], keys[index])
    assert int(queue.position) == 36 % 7


def test_losses_are_their_equations() -> None:
    query, key, queue, share = units(4), units(4, 1), units(6, 2), torch.tensor([0.2, 0.9, 0.5, 0.0])
    plain, mixed = [], []
    for i in range(4):
        others = (query[i] @ queue.T / 0.07).exp().sum()
        own = (query[i] @ key[i] / 0.07).exp()
        plain.append(-(own / (own + others)).log())
        candidates = (query[i] @ key.T / 0.07).exp()
        chances = (candidates / (candidates.sum() + others)).log()
        mixed.append(-(share[i] * chances[i] + (1 - share[i]) * chances[3 - i]))
    assert torch.allclose(momentum_contrast(query, key, queue, 0.07), torch.stack(plain).mean(), rtol=1e-5)
    assert torch.allclose(mixed_contrast(query, key, queue, 0.07, share), torch.stack(mixed).mean(), rtol=1e-5)
