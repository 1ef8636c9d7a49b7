"""Earth mover's distance: all permutations, gradients, coincident points, errors."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mm3d.ops import chamfer_l1, earth_mover_distance


def brute(a: Tensor, b: Tensor) -> Tensor:
    """The least mean length over all permutations, per cloud."""
    orders = itertools.permutations(range(a.shape[1]))
    means = [(a - b[:, list(order)]).square().sum(2).sqrt().mean(1) for order in orders]
    return torch.stack(means).min(0).values


def clouds(seed: int, batch: int, size: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    both = torch.randn(2, batch, size, 3, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return both[0].clone().requires_grad_(), both[1].clone().requires_grad_()


@given(seed=st.integers(0, 10**6), batch=st.integers(1, 3), size=st.integers(1, 5), grid=st.booleans())
def test_equals_brute_force(seed: int, batch: int, size: int, grid: bool) -> None:
    a, b = (cloud.detach() for cloud in clouds(seed, batch, size))
    if grid:
        a, b = a.round(), b.round()
    distance = earth_mover_distance(a, b)
    assert distance.shape == (batch,)
    torch.testing.assert_close(distance, brute(a, b), rtol=1e-12, atol=1e-12)


def test_permuted_copies_have_distance_and_gradient_zero() -> None:
    a, _ = clouds(1, 3, 60, torch.float32)
    b = a.detach()[:, torch.randperm(60, generator=torch.Generator().manual_seed(0))].clone().requires_grad_()
    distance = earth_mover_distance(a, b)
    assert distance.tolist() == [0.0, 0.0, 0.0]
    for gradient in torch.autograd.grad(distance.sum(), (a, b)):
        assert int(gradient.count_nonzero()) == 0


def test_gradcheck_and_gradient_of_a_translation() -> None:
    a, b = clouds(2, 2, 5)
    assert torch.autograd.gradcheck(earth_mover_distance, (a, b))
    near = (a.detach() + 1e-3).requires_grad_()
    distance = earth_mover_distance(a, near)
    torch.testing.assert_close(distance, torch.full((2,), 1e-3 * 3**0.5, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(distance.sum(), near)
    torch.testing.assert_close(gradient, torch.full_like(gradient, 3**-0.5 / 5))


def test_symmetric_and_above_chamfer() -> None:
    a, b = (cloud.detach() for cloud in clouds(3, 1, 32))
    torch.testing.assert_close(earth_mover_distance(a, b), earth_mover_distance(b, a))
    assert float(earth_mover_distance(a, b)) >= float(chamfer_l1(a, b))


def test_one_coincident_pair_keeps_the_gradient_finite() -> None:
    a, b = clouds(4, 2, 6)
    with torch.no_grad():
        b[:, 2] = a[:, 2]
    for gradient in torch.autograd.grad(earth_mover_distance(a, b).sum(), (a, b)):
        assert bool(gradient.isfinite().all())


def test_half_precision_is_computed_in_float32() -> None:
    a, b = (cloud.detach().bfloat16() for cloud in clouds(5, 2, 6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        distance = earth_mover_distance(a, b)
    assert torch.equal(distance, earth_mover_distance(a.float(), b.float()))


@pytest.mark.parametrize(
    ("a", "b"), [((1, 4, 3), (1, 5, 3)), ((1, 0, 3), (1, 0, 3)), ((1, 4, 3), (2, 4, 3)), ((4, 3), (4, 3))]
)
def test_errors(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^[ab] "):
        earth_mover_distance(torch.zeros(a), torch.zeros(b))


def test_not_finite_is_an_error() -> None:
    a = torch.zeros(1, 4, 3)
    a[0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="invalid numeric"):
        earth_mover_distance(a, torch.zeros(1, 4, 3))
