"""Dropout whose bits decide over four elements a draw."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.dropout import Dropout, dropout


@given(st.floats(0.01, 0.99), st.integers(0, 2**31), st.lists(st.integers(0, 9), max_size=3))
def test_every_value_is_zero_or_scaled(p: float, seed: int, shape: list[int]) -> None:
    torch.manual_seed(seed)
    x = torch.rand(shape) + 1
    out = dropout(x, p)
    kept = out != 0
    assert out.shape == x.shape
    torch.testing.assert_close(out[kept], x[kept] / (1 - round(p * 65536) / 65536))


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.95])
def test_rate_and_independence(p: float) -> None:
    torch.manual_seed(0)
    kept = dropout(torch.ones(400, 1001), p) != 0
    count = kept.numel()
    assert abs(float(kept.double().mean()) - (1 - p)) < 5 * (p * (1 - p) / count) ** 0.5
    signs = kept.double().flatten() - (1 - p)
    for lag in (1, 2, 3, 4, 1001):  # neighbours share a draw: they must not share their fate
        assert abs(float((signs[lag:] * signs[:-lag]).mean())) < 5 * p * (1 - p) / count**0.5


def test_gradient_flows_where_it_was_kept() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 7, requires_grad=True)
    out = dropout(x, 0.5)
    (gradient,) = torch.autograd.grad(out, x, torch.full_like(x, 3.0))
    torch.testing.assert_close(gradient, torch.where(out == 0, 0.0, 6.0))


def test_a_seed_repeats_the_draw_and_the_next_differs() -> None:
    x = torch.ones(100)
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(dropout(x, 0.5))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype_stays(dtype: torch.dtype) -> None:
    assert dropout(torch.ones(9, dtype=dtype), 0.3).dtype == dtype


def test_strided_and_expanded_input() -> None:
    torch.manual_seed(0)
    out = dropout(torch.arange(1.0, 4).expand(1000, 3).t(), 0.5)
    assert out.shape == (3, 1000)
    for row in range(3):
        assert set(out[row].tolist()) == {0.0, 2.0 * (row + 1)}
        assert 400 < int((out[row] != 0).sum()) < 600


def test_nothing_and_everything() -> None:
    x = torch.randn(5)
    assert dropout(x, 0.0) is x
    assert dropout(x, 0.5, training=False) is x
    assert torch.equal(dropout(x, 1.0), torch.zeros(5))
    assert Dropout(0.5).eval()(x) is x
    with pytest.raises(ValueError, match="from 0 to 1"):
        dropout(x, 1.5)


@pytest.mark.parametrize("dropped", [1, 2, 32767, 32768, 32769, 65535])
def test_sixteen_bits_decide_over_an_element(dropped: int) -> None:
    torch.manual_seed(0)
    draws = torch.empty(1 << 16, dtype=torch.int64).random_(-(1 << 63), None).view(torch.int16)
    torch.manual_seed(0)
    out = dropout(torch.ones(len(draws)), dropped / 65536)
    assert torch.equal(out != 0, draws.int() + 32768 >= dropped)
