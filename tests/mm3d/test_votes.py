"""Voting: what each vote sees, and that logits are averaged."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mm3d.config import FinetuneRecipe, PointsConfig
from mm3d.data.clouds import pack
from mm3d.data.samples import evaluation_batch
from mm3d.finetune import predict, views_of

CLOUDS = pack(
    list(np.random.default_rng(0).normal(size=(3, 200, 3)).astype(np.float32)),
    labels=[0, 1, 0],
    names=["a", "b", "c"],
    classes=("x", "y"),
)
POINTS = PointsConfig(count=64, subset="farthest", normalize="unit_sphere_first")


class Sums(nn.Module):
    """Logits that say which points they were computed from, far apart so that probabilities would be averaged otherwise."""

    def __init__(self, each: bool) -> None:
        super().__init__()
        self.weight, self.each = nn.Parameter(torch.tensor([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]])), each

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = 5 * points @ self.weight
        return logits if self.each else logits.sum(1)


def test_logits_of_votes_are_averaged() -> None:
    recipe = FinetuneRecipe(points=POINTS)
    model = Sums(each=False)
    views = views_of(CLOUDS, range(3), recipe, 4)
    expected = torch.stack([model(view, torch.zeros(3)) for view in views]).mean(0)
    torch.testing.assert_close(torch.stack(predict(model, CLOUDS, recipe, 4)), expected.detach())
    plain = model(evaluation_batch(CLOUDS, range(3), POINTS).points, torch.zeros(3))
    torch.testing.assert_close(torch.stack(predict(model, CLOUDS, recipe)), plain.detach())


def test_votes_on_parts_see_the_points_that_are_scored() -> None:
    recipe = FinetuneRecipe(task="segmentation", points=POINTS)
    scored = evaluation_batch(CLOUDS, range(3), POINTS).points
    for view in views_of(CLOUDS, range(3), recipe, 3):
        scale = (view[:, 1] - view[:, 0]) / (scored[:, 1] - scored[:, 0])
        moved = view[:, :1] - scale[:, None] * scored[:, :1]
        torch.testing.assert_close(view, scale[:, None] * scored + moved, rtol=1e-3, atol=1e-4)
        assert (scale > 0.6).all()
    assert predict(Sums(each=True), CLOUDS, recipe, 3)[0].shape == (64, 2)
