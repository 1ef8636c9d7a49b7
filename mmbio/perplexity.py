"""How well a masked model tells hidden tokens or atoms of sequences it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from core.random import generator
from mmbio.evaluating import BATCH_TOKENS, evaluating
from mmbio.readers import Samples


class LMScore(NamedTuple):
    """Mean cross-entropy and accuracy over hidden tokens, their number, and for every id how many were hidden and told right."""

    loss: float
    accuracy: float
    tokens: int
    hidden: list[int]
    right: list[int]

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 700.0))

    def held_out(self) -> dict[str, float]:
        """What is logged of data that is not trained on; nothing where nothing was hidden."""
        if not self.tokens:
            return {}
        found = {"loss": self.loss, "perplexity": self.perplexity, "accuracy": self.accuracy}
        return {f"held_out_{name}": value for name, value in found.items()}


def score_lm(model: Any, data: Samples) -> LMScore:
    """Hide tokens as in training, always the same ones, and compare; in evaluation mode, mode restored afterwards.

    Batches in which nothing can be hidden are left out.
    """

    def told() -> Iterator[tuple[Tensor, Tensor]]:
        for batch, draws in batches(data):
            if bool(model.learns_from(batch).any()):
                output = model(batch.to(device), model.draw_mask(batch, draws).to(device))
                logits, ids = model.told(output)
                yield logits.float().cpu(), ids.cpu()

    with evaluating(model) as device:
        return count_told(told(), len(model.token_names))


def count_told(found: Iterable[tuple[Tensor, Tensor]], size: int) -> LMScore:
    """Loss and accuracy of logits (M, K) for true ids (M,), batch by batch.

    Args:
        size: K.
    """
    total, hidden, right = 0.0, torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    for logits, ids in found:
        total += float(F.cross_entropy(logits, ids, reduction="sum"))
        hidden += ids.bincount(minlength=size)
        right += ids[logits.argmax(-1) == ids].bincount(minlength=size)
    count = int(hidden.sum())
    return LMScore(total / max(count, 1), int(right.sum()) / max(count, 1), count, hidden.tolist(), right.tolist())


def batches(data: Samples) -> Iterator[tuple[Any, list[torch.Generator]]]:
    """All samples in batches of about :data:`~mmbio.evaluating.BATCH_TOKENS` tokens, each with the generators of its masks."""
    some: list[Any] = []
    masks: list[torch.Generator] = []
    tokens = 0
    for index in range(len(data)):
        some.append(data.sample(index, generator(0, index, "held out")))
        masks.append(generator(0, index, "held out mask"))
        tokens += some[-1].size
        if tokens >= BATCH_TOKENS or index + 1 == len(data):
            yield data.collate(some), masks
            some, masks, tokens = [], [], 0
