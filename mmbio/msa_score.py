"""How well a model tells hidden cells of alignments it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from core.random import generator
from core.token_masks import TokenMask
from mmbio.alignments import Alignments
from mmbio.data.msa import MSAData
from mmbio.evaluating import evaluating
from mmbio.perplexity import LMScore, count_told

if TYPE_CHECKING:
    from mmbio.models.msa_transformer import MSATransformer


def score_msa(model: MSATransformer, data: MSAData) -> LMScore:
    """Hide cells as in training, always the same ones, and compare; in evaluation mode, mode restored afterwards."""

    def told() -> Iterator[tuple[Tensor, Tensor]]:
        for batch, mask in hidden_samples(model, data):
            output = model(batch.to(device), mask.to(device))
            yield output.predictions["lm"].float().cpu(), output.targets["lm"].cpu()

    with evaluating(model) as device:
        return count_told(told(), len(model.vocabulary))


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
    return count_told(found, size)


def hidden_samples(model: MSATransformer, data: MSAData) -> Iterator[tuple[Alignments, TokenMask]]:
    """A sample of every alignment and its mask, always the same."""
    for index in range(len(data)):
        batch = data.collate([data.sample(index, generator(0, index, "held out"))])
        yield batch, model.draw_mask(batch, generator(0, index, "held out mask"))
