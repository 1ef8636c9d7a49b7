"""The packed Chamfer distance against the padded one of the paper, written out, and against finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.random import generator
from mm3d.ops.packed_chamfer import packed_chamfer


def cells(counts: list[int], seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """(P, 4) points of cells."""
    number = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    points = torch.rand(len(number), 3, generator=generator("points", seed), dtype=dtype) * 2 - 1
    return torch.cat([points, number[:, None].to(dtype)], dim=1)


def padded(predicted: Tensor, points: Tensor, counts: list[int]) -> Tensor:
    """All pairs of a cell in a padded array; padding is infinitely far one way and counts nothing the other way."""
    most = max(counts)
    true = torch.zeros(len(counts), most, 3, dtype=points.dtype)
    there = torch.zeros(len(counts), most, dtype=torch.bool)
    for cell, part in enumerate(points[:, :3].split(counts)):
        true[cell, : len(part)], there[cell, : len(part)] = part, True
    pairs = ((predicted[:, :, None] - true[:, None]) ** 2).sum(-1)
    pairs = pairs.masked_fill(~there[:, None], torch.inf)
    nearest = pairs.amin(2).mean()
    back = pairs.amin(1).masked_fill(~there, 0).sum(1) / there.sum(1)
    return nearest + back.mean()


@pytest.mark.parametrize("counts", [[1], [5, 1, 9], [100, 3, 250, 1, 1]])
def test_it_is_the_padded_one(counts: list[int]) -> None:
    points = cells(counts)
    predicted = torch.randn(len(counts), 10, 3, generator=generator(1)).tanh().requires_grad_()
    ours, theirs = packed_chamfer(predicted, points), padded(predicted, points, counts)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, predicted)[0], torch.autograd.grad(theirs, predicted)[0])


def test_gradients() -> None:
    points = cells([4, 1, 3], dtype=torch.float64)
    predicted = torch.randn(3, 5, 3, generator=generator(2), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: packed_chamfer(p, points), predicted)


def test_closed_forms() -> None:
    points = torch.tensor([[0.0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 1]])
    exact = torch.tensor([[[0.0, 0, 0], [1, 0, 0]], [[0, 1, 0], [0, 1, 0]]])
    assert packed_chamfer(exact, points) == 0
    off = exact + torch.tensor([0.0, 0.0, 0.5])
    torch.testing.assert_close(packed_chamfer(off, points), torch.tensor(0.5))  # 0.25 either way


def test_a_cell_without_points_is_refused() -> None:
    with pytest.raises(ValueError, match="points of 2 cells for predictions of 3"):
        packed_chamfer(torch.zeros(3, 2, 3), cells([1, 2]))
