"""How well a model tells hidden cells of alignments it was not trained on."""

from __future__ import annotations

import torch

from core.random import generator
from mmbio.data.msa import MSAData
from mmbio.models.msa_transformer import MSATransformer
from mmbio.perplexity import LMScore


@torch.no_grad()
def score_msa(model: MSATransformer, data: MSAData) -> LMScore:
    """Hide cells as in training, always the same ones, and compare; in evaluation mode, mode restored afterwards."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    size = len(model.vocabulary)
    total, hidden, right = 0.0, torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    for index in range(len(data)):
        batch = data.collate([data.sample(index, generator(0, index, "held out"))])
        mask = model.draw_mask(batch, generator(0, index, "held out mask"))
        output = model(batch.to(device), mask.to(device))
        logits, ids = output.predictions["lm"].float().cpu(), output.targets["lm"].cpu()
        total += float(torch.nn.functional.cross_entropy(logits, ids, reduction="sum"))
        hidden += ids.bincount(minlength=size)
        right += ids[logits.argmax(-1) == ids].bincount(minlength=size)
    model.train(was_training)
    count = max(int(hidden.sum()), 1)
    return LMScore(total / count, int(right.sum()) / count, count, hidden.tolist(), right.tolist())
