"""Chamfer distances: brute force, gradients, coincident points, precision, autocast, tiles, errors."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mm3d.ops import chamfer_l1, chamfer_l2, nearest_distances

module = importlib.import_module("mm3d.ops.chamfer")


def plain(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The definition, left to autograd."""
    squared = (a[:, :, None] - b[:, None]).square().sum(-1)
    return squared.min(2).values, squared.min(1).values


def clouds(seed: int, batch: int, n: int, m: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    both = torch.randn(batch, n + m, 3, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return both[:, :n].clone().requires_grad_(), both[:, n:].clone().requires_grad_()


@given(seed=st.integers(0, 10**6), batch=st.integers(1, 5), n=st.integers(1, 40), m=st.integers(1, 40))
def test_values_and_gradients_equal_the_definition(seed: int, batch: int, n: int, m: int) -> None:
    a, b = clouds(seed, batch, n, m, torch.float64)
    weights = [torch.randn(batch, k, dtype=torch.float64) for k in (n, m)]
    results = []
    for function in (nearest_distances, plain):
        ab, ba = function(a, b)
        loss = (ab * weights[0]).sum() + (ba * weights[1]).sum()
        results.append((ab, ba, *torch.autograd.grad(loss, (a, b))))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(1216, 32, 32), (2, 700, 900), (3, 1100, 1030), (1, 300000, 3), (1, 3, 300000)])
def test_all_paths_equal_the_definition(shape: tuple[int, int, int]) -> None:
    """Many patches; several tiles a cloud; trees; one side so long that a tile is one row."""
    a, b = clouds(1, *shape)
    ab, ba = nearest_distances(a, b)
    expected = plain(a.detach(), b.detach())
    torch.testing.assert_close((ab.detach(), ba.detach()), expected, rtol=1e-5, atol=1e-12)
    weight = torch.linspace(0.5, 1.5, ab.numel()).view_as(ab)
    ours = torch.autograd.grad((ab * weight).mean() + ba.mean(), (a, b))
    loss = plain(a, b)
    theirs = torch.autograd.grad((loss[0] * weight).mean() + loss[1].mean(), (a, b))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


def test_losses_equal_cdist() -> None:
    a, b = clouds(2, 6, 30, 20, torch.float64)
    lengths = torch.cdist(a, b)
    ab, ba = lengths.min(2).values, lengths.min(1).values
    torch.testing.assert_close(chamfer_l2(a, b), ab.square().mean() + ba.square().mean())
    torch.testing.assert_close(chamfer_l1(a, b), (ab.mean() + ba.mean()) / 2)


@pytest.mark.parametrize(("function", "power"), [(chamfer_l1, 1), (chamfer_l2, 2)])
def test_gradcheck_symmetry_and_scale(function: Callable[[Tensor, Tensor], Tensor], power: int) -> None:
    a, b = clouds(3, 2, 5, 7, torch.float64)
    assert torch.autograd.gradcheck(function, (a, b))
    torch.testing.assert_close(function(a, b), function(b, a))
    torch.testing.assert_close(function(3 * a, 3 * b), 3**power * function(a, b))
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    torch.testing.assert_close(function(a, b[:, order]), function(a, b))


def test_only_the_needed_gradient_is_given() -> None:
    a, b = clouds(4, 2, 5, 7)
    chamfer_l2(a, b.detach()).backward()
    assert a.grad is not None
    assert b.grad is None
    chamfer_l2(a.detach(), b).backward()
    assert b.grad is not None


def test_coincident_points_have_value_zero_and_gradient_zero() -> None:
    a, _ = clouds(5, 3, 40, 1)
    b = a.detach()[:, torch.randperm(40, generator=torch.Generator().manual_seed(0))].clone().requires_grad_()
    for loss in (chamfer_l1, chamfer_l2):
        value = loss(a, b)
        assert float(value.detach()) == 0.0
        for gradient in torch.autograd.grad(value, (a, b)):
            assert int(gradient.count_nonzero()) == 0


def test_one_coincident_point_among_others_keeps_the_gradient_finite() -> None:
    a, b = clouds(6, 2, 10, 10)
    with torch.no_grad():
        b[:, 0] = a[:, 0]
    for gradient in torch.autograd.grad(chamfer_l1(a, b), (a, b)):
        assert bool(gradient.isfinite().all())
        assert int(gradient.count_nonzero()) > 0


@pytest.mark.parametrize("size", [50, 1100])
def test_precise_far_from_the_origin_and_for_dense_clouds(size: int) -> None:
    """The expanded form |a|^2 - 2ab + |b|^2 would be wrong in the first digit here."""
    a, b = (1000 + 0.01 * cloud.detach() for cloud in clouds(7, 2, size, size))
    expected = plain(a.double(), b.double())
    torch.testing.assert_close([d.double() for d in nearest_distances(a, b)], list(expected), rtol=1e-5, atol=0)
    assert float(chamfer_l1(a, a.flip(1))) == 0.0


def test_autocast_computes_in_float32() -> None:
    a, b = clouds(8, 20, 32, 32)
    expected = torch.autograd.grad(chamfer_l2(a, b), (a, b))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = chamfer_l2(a, b)
        length = chamfer_l1(a, b)
    assert value.dtype == length.dtype == torch.float32
    assert float(value.detach()) == float(chamfer_l2(a, b).detach())
    assert all(map(torch.equal, torch.autograd.grad(value, (a, b)), expected))
    half = a.detach().bfloat16().requires_grad_()  # what a linear layer gives under autocast
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = chamfer_l2(half, b)
    assert float(value.detach()) == float(chamfer_l2(half.detach().float(), b).detach())
    (gradient,) = torch.autograd.grad(value, half)
    assert gradient.dtype == torch.bfloat16
    assert bool(gradient.isfinite().all())


@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 20),
    columns=st.integers(1, 20),
    dim=st.sampled_from([1, 2]),
)
def test_minimum_gives_the_first_of_equals(seed: int, rows: int, columns: int, dim: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    distances = torch.randint(0, 4, (3, rows, columns), generator=generator).float() * 1e-30
    least, index = module._minimum(distances, dim)
    expected = torch.min(distances, dim)
    assert torch.equal(least, expected.values)
    assert torch.equal(index, torch.argmin(distances, dim))


def test_ties_within_and_across_tiles_go_to_the_lowest_index() -> None:
    both = torch.randint(0, 4, (2, 1600, 3), generator=torch.Generator().manual_seed(2)).float()
    a, b = both[:, :700], both[:, 700:]
    squared = (a[:, :, None] - b[:, None]).square().sum(-1)
    d_ab, to_b, d_ba, to_a = module._nearest(a, b)
    assert torch.equal(d_ab, squared.amin(2))
    assert torch.equal(d_ba, squared.amin(1))
    assert torch.equal(to_b, torch.argmin(squared, 2))
    assert torch.equal(to_a, torch.argmin(squared, 1))


@pytest.mark.parametrize("size", [30, 1100])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_bad_coordinates_show_in_the_loss(size: int, bad: float) -> None:
    for which in (0, 1):
        pair = [cloud.detach() for cloud in clouds(9, 2, size, size)]
        pair[which][1, 3, 0] = bad
        pair[0].requires_grad_()
        value = chamfer_l2(*pair)
        assert bool(value.isnan() if bad != bad else ~value.isfinite())
        value.backward()  # and indices stay in range


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 0, 3), (2, 4, 3)),
        ((0, 4, 3), (0, 4, 3)),
        ((2, 4, 3), (2, 0, 3)),
        ((2, 4, 3), (1, 4, 3)),
        ((2, 4, 2), (2, 4, 2)),
        ((4, 3), (4, 3)),
    ],
)
def test_errors(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    for function in (nearest_distances, chamfer_l1, chamfer_l2):
        with pytest.raises(ValueError, match=r"^[ab] "):
            function(torch.zeros(a), torch.zeros(b))
