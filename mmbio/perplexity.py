"""How well a language model tells hidden tokens of sequences it was not trained on."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from core.random import generator
from mmbio.data.tokens import TokenData
from mmbio.models.masked_lm import MaskedLM
from mmbio.sequences import Sequences

BATCH_TOKENS = 16_384


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


@torch.no_grad()
def score_lm(model: MaskedLM, data: TokenData) -> LMScore:
    """Hide tokens as in training, always the same ones, and compare; in evaluation mode, mode restored afterwards."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    size = len(model.vocabulary)
    total, hidden, right = 0.0, torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    for batch, draws in batches(data):
        output = model(batch.to(device), model.draw_mask(batch, draws).to(device))
        logits, ids = output.predictions["lm"].float().cpu(), output.targets["lm"].cpu()
        total += float(torch.nn.functional.cross_entropy(logits, ids, reduction="sum"))
        hidden += ids.bincount(minlength=size)
        right += ids[logits.argmax(-1) == ids].bincount(minlength=size)
    model.train(was_training)
    count = max(int(hidden.sum()), 1)
    return LMScore(total / count, int(right.sum()) / count, count, hidden.tolist(), right.tolist())


def batches(data: TokenData) -> list[tuple[Sequences, list[torch.Generator]]]:
    """All samples in batches of about :data:`BATCH_TOKENS` tokens, each with the generators of its masks."""
    found, some, tokens = [], [], 0
    for index in range(len(data)):
        some.append(index)
        tokens += int(data.lengths[index])
        if tokens >= BATCH_TOKENS or index + 1 == len(data):
            samples = [data.sample(i, generator(0, i, "held out")) for i in some]
            found.append((data.collate(samples), [generator(0, i, "held out mask") for i in some]))
            some, tokens = [], 0
    return found
