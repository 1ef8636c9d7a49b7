"""How well a model tells hidden cells of alignments it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.random import generator
from core.token_masks import TokenMask
from mmbio.alignments import Alignments
from mmbio.data.msa import MSAData
from mmbio.models.msa_transformer import MSATransformer
from mmbio.perplexity import LMScore


@torch.no_grad()
def score_msa(model: MSATransformer, data: MSAData) -> LMScore:
    """Hide cells as in training, always the same ones, and compare; in evaluation mode, mode restored afterwards."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    found = []
    for batch, mask in hidden_samples(model, data):
        output = model(batch.to(device), mask.to(device))
        found.append((output.predictions["lm"].float().cpu(), output.targets["lm"].cpu()))
    model.train(was_training)
    return _count(found, len(model.vocabulary))


def score_by_column(model: MSATransformer, data: MSAData) -> LMScore:
    """The control: the same cells told from how often each token is among the visible ones of the column, plus one."""
    found, size = [], len(model.vocabulary)
    known = model.vocabulary.hideable_ids
    for batch, mask in hidden_samples(model, data):
        (ids,), (hidden,) = batch.split(), batch.split(mask.hidden)
        counts = (torch.nn.functional.one_hot(ids, size) * ~hidden.unsqueeze(2)).sum(0).float()
        chances = (counts + known.float()).clamp(min=1e-9)
        columns = batch.columns[mask.hidden]
        found.append(((chances / chances.sum(1, keepdim=True)).log()[columns], batch.ids[mask.hidden]))
    return _count(found, size)


def hidden_samples(model: MSATransformer, data: MSAData) -> Iterator[tuple[Alignments, TokenMask]]:
    """A sample of every alignment and its mask, always the same."""
    for index in range(len(data)):
        batch = data.collate([data.sample(index, generator(0, index, "held out"))])
        yield batch, model.draw_mask(batch, generator(0, index, "held out mask"))


def _count(found: list[tuple[Tensor, Tensor]], size: int) -> LMScore:
    """Loss and accuracy of logits (M, K) for true ids (M,)."""
    total, hidden, right = 0.0, torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    for logits, ids in found:
        total += float(torch.nn.functional.cross_entropy(logits, ids, reduction="sum"))
        hidden += ids.bincount(minlength=size)
        right += ids[logits.argmax(-1) == ids].bincount(minlength=size)
    count = max(int(hidden.sum()), 1)
    return LMScore(total / count, int(right.sum()) / count, count, hidden.tolist(), right.tolist())
