"""Which epoch's weights are kept."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from core.training.selection import BestWeights


@pytest.mark.parametrize(
    ("scores", "epoch"),
    [
        ((0.2, 0.9, 0.5), 2),
        ((0.5, 0.5, 0.1), 1),  # of equals the first
        ((math.nan, 0.2, 0.9), 3),  # any number is better than none
        ((0.3, math.nan, 0.2), 1),
        ((math.nan, math.nan), 1),
    ],
)
def test_the_best_score_is_kept(tmp_path: Path, scores: tuple[float, ...], epoch: int) -> None:
    model, left = nn.Linear(1, 1, bias=False), iter(scores)
    best = BestWeights(tmp_path / "state", model, lambda: next(left), "accuracy")
    for number in range(1, len(scores) + 1):
        with torch.no_grad():
            model.weight.fill_(number)
        best.after_epoch(number)
    assert best.enough(epoch + 2, 2)
    assert not best.enough(epoch + 2, 3)
    assert not best.enough(epoch + 100, 0)
    record = best.restore()
    assert record["epoch"] == epoch
    assert float(model.weight) == epoch
