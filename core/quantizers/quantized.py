"""What every quantizer gives, and how much of a vocabulary is in use."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Quantized(NamedTuple):
    """Features as a decoder reads them, (..., C), with a way for gradients to the input; ids, (...) int64; losses by name."""

    vectors: Tensor
    ids: Tensor
    losses: dict[str, Tensor]


class Usage(NamedTuple):
    """How many codes occur, their share of all, and the perplexity: how many equally common codes would be as varied."""

    codes: int
    share: float
    perplexity: float


def usage(counts: Tensor) -> Usage:
    """Usage from how often each code occurred: (K,) integers.

    Raises:
        ValueError: no code occurred.
    """
    total = counts.sum()
    if int(total) == 0:
        raise ValueError("no code was counted")
    share = counts.double() / total
    used = counts > 0
    entropy = -(share[used] * share[used].log()).sum()
    return Usage(int(used.sum()), float(used.double().mean()), float(torch.exp(entropy)))
