"""The codes of patches by a frozen tokenizer: the target of Point-BERT."""

from __future__ import annotations

from typing import Literal

from torch import nn

from core.tokenizer import TokenIds
from mm3d.models.point_dvae import PointDVAE


class PatchCodes(TokenIds):
    """A frozen dVAE; its batch norms use the batch's statistics in training where that is asked for.

    In the released training of Point-BERT the tokenizer is in training mode: its batch norms use the statistics of the batch
    and go on averaging them. Here they may use them too, but nothing of the tokenizer ever changes.

    Args:
        tokenizer: it is copied.
        statistics: "batch" or "stored".

    Source: models/Point_BERT.py and tools/runner_BERT_pretrain.py of Point-BERT's official code (``base_model.train()``).
    """

    module: PointDVAE

    def __init__(self, tokenizer: PointDVAE, statistics: Literal["batch", "stored"] = "batch") -> None:
        super().__init__(tokenizer)
        norms = [m for m in self.module.encoder.modules() if isinstance(m, nn.BatchNorm1d)]
        self._follow = norms if statistics == "batch" else []
        for norm in self._follow:
            norm.track_running_stats = False  # in training mode such a norm neither reads nor writes its own
        self.train()  # as modules begin

    def train(self, mode: bool = True) -> PatchCodes:
        super().train(mode)
        for norm in self._follow:
            norm.train(mode)
        return self
