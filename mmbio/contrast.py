"""How well a contrastive model tells the patches of sequences that it was not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional as F

from core.random import generator
from mmbio.data.tokens import TokenData
from mmbio.evaluating import evaluating

if TYPE_CHECKING:
    from mmbio.models.cpcprot import CPCProt


class ContrastScore(NamedTuple):
    """Mean cross-entropy, share of patches that are matched with their own sequence, and how many there were."""

    loss: float
    accuracy: float
    patches: int


def score_contrast(model: CPCProt, data: TokenData, batch_size: int) -> ContrastScore:
    """Loss and accuracy in batches of about ``batch_size`` sequences, always the same; both depend on that size.

    In evaluation mode, mode restored afterwards. A rest of fewer than two batches is one batch.
    """
    loss, right, terms = 0.0, 0, 0
    count = max(len(data) // batch_size, 1)
    with evaluating(model) as device:
        for some in torch.arange(len(data)).tensor_split(count):
            batch = data.collate([data.sample(i, generator(0, i, "held out")) for i in some.tolist()]).to(device)
            output = model(batch)
            scores, targets = output.predictions["nce"].float(), output.targets["nce"]
            loss += float(F.cross_entropy(scores, targets, reduction="sum"))
            right += int((scores.argmax(1) == targets).sum())
            terms += len(targets)
    return ContrastScore(loss / max(terms, 1), right / max(terms, 1), terms)
