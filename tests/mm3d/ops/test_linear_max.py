from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mm3d.ops import linear_max


def plain(points: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(points, weight, bias).amax(1)


def inputs(patches: int, size: int, width: int, features: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size)
    shapes = ((patches, size, width), (features, width), (features,))
    points, weight, bias = (torch.randn(s, generator=generator, dtype=dtype, requires_grad=True) for s in shapes)
    return points, weight, bias


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("sizes", [(5, 7, 3, 4), (1, 1, 1, 1), (3, 300, 2, 5), (8, 32, 16, 24)])
def test_value_and_gradients_are_those_of_linear_and_max(
    sizes: tuple[int, int, int, int], dtype: torch.dtype, tolerance: float
) -> None:
    given = inputs(*sizes, dtype)
    ours, theirs = linear_max(*given), plain(*given)
    assert ours.shape == (sizes[0], sizes[3])
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    for a, b in zip(torch.autograd.grad(ours, given, weight), torch.autograd.grad(theirs, given, weight), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_finite_differences() -> None:
    assert torch.autograd.gradcheck(linear_max, inputs(3, 5, 2, 4, torch.float64))


def test_of_tied_points_one_is_moved() -> None:
    points = torch.ones(2, 4, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(linear_max(points, torch.ones(1, 3), torch.zeros(1)).sum(), points)
    assert gradient.sum() == 6
    assert (gradient.abs().sum(2) > 0).sum(1).tolist() == [1, 1]


def test_gradients_that_nobody_needs_are_not_computed() -> None:
    points, weight, bias = inputs(2, 3, 4, 5, torch.float32)
    (gradient,) = torch.autograd.grad(linear_max(points.detach(), weight, bias).sum(), weight)
    assert gradient.shape == weight.shape


def test_under_autocast_it_is_the_plain_composition() -> None:
    points, weight, bias = inputs(4, 8, 16, 8, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        value = linear_max(points, weight, bias)
    assert value.dtype == torch.bfloat16
    torch.testing.assert_close(value.float(), plain(points, weight, bias), rtol=2e-2, atol=5e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu() -> None:
    given = inputs(4, 8, 16, 8, torch.float64)
    moved = [t.detach().cuda().requires_grad_() for t in given]
    torch.testing.assert_close(linear_max(*moved).cpu(), plain(*given))
