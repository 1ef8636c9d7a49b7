"""Losses: closed forms and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from core.cosine import cosine_similarity
from core.losses import cross_entropy, info_nce, scaled_cosine_error
from core.random import generator


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(*shape), dtype=torch.float64).requires_grad_()


@given(angle=st.floats(0, math.pi), gamma=st.sampled_from([1.0, 2.0, 3.0]), scale=st.floats(0.1, 10))
def test_scaled_cosine_error_of_an_angle(angle: float, gamma: float, scale: float) -> None:
    first = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    second = scale * torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    assert float(scaled_cosine_error(first, second, gamma)) == pytest.approx((1 - math.cos(angle)) ** gamma, abs=1e-9)


def test_scaled_cosine_error_at_its_ends() -> None:
    x = draw(4, 3)
    with torch.no_grad():
        assert float(scaled_cosine_error(x, x, 3)) == pytest.approx(0, abs=1e-12)
        assert float(scaled_cosine_error(x, -x, 3)) == pytest.approx(8)
    (gradient,) = torch.autograd.grad(scaled_cosine_error(x, x.detach(), 2), x)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_cosine_is_that_of_torch(dtype: torch.dtype) -> None:
    numbers = torch.randn(2, 3, 4, 6, generator=generator(1), dtype=torch.float64).to(dtype)
    first, second = (x.requires_grad_() for x in numbers)
    with torch.no_grad():
        first[0, 0] = 0  # has no direction
        second[1, 1] *= 1e-3
    expected = F.cosine_similarity(first.double(), second.double(), dim=-1)
    found = cosine_similarity(first, second)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    weights = torch.linspace(-1, 2, 12).view(3, 4)
    gradients = torch.autograd.grad((found * weights).sum(), (first, second))
    for own, wanted in zip(gradients, torch.autograd.grad((expected * weights).sum(), (first, second)), strict=True):
        assert own.isfinite().all()
        torch.testing.assert_close(own[1:], wanted[1:], rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-5)


def test_cosine_of_several_views_of_a_target() -> None:
    views, target = draw(4, 5, 3), draw(5, 3)
    assert torch.autograd.gradcheck(cosine_similarity, (views, target))


def test_gradients() -> None:
    assert torch.autograd.gradcheck(lambda a, b: scaled_cosine_error(a, b, 2.0), (draw(5, 3), draw(5, 3)))
    positive = torch.tensor([2, 0, 1])

    def contrast(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return info_nce(q, k, positive, 0.5)

    with torch.no_grad():
        query, keys = draw(3, 4), draw(5, 4)
    loss = contrast(query, keys)
    (gradient,) = torch.autograd.grad(loss, query)
    step = 1e-2 * gradient / gradient.norm()
    assert float(loss.detach() - contrast(query - step, keys)) == pytest.approx(1e-2 * float(gradient.norm()), rel=0.05)


def test_cross_entropy_of_known_probabilities() -> None:
    logits = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]]).log()
    ids = torch.tensor([[0, 1]])
    assert float(cross_entropy(logits, ids)) == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2, rel=1e-6)
    assert cross_entropy(logits.bfloat16(), ids).dtype == torch.float32
    uniform = torch.zeros(7, 11)
    assert float(cross_entropy(uniform, torch.arange(7))) == pytest.approx(math.log(11), rel=1e-6)
    with pytest.raises(ValueError, match="no hidden token"):
        cross_entropy(torch.zeros(0, 11), torch.zeros(0, dtype=torch.long))


def test_info_nce_is_written_out() -> None:
    query, keys, positive = draw(4, 3), draw(6, 3), torch.tensor([5, 0, 2, 2])
    unit = query / query.norm(dim=1, keepdim=True), keys / keys.norm(dim=1, keepdim=True)
    logits = unit[0] @ unit[1].T / 0.1
    expected = -(logits.gather(1, positive[:, None]).squeeze(1) - logits.logsumexp(1)).mean()
    assert float(info_nce(query, keys, positive, 0.1)) == pytest.approx(float(expected), rel=1e-5)
    assert float(info_nce(3 * query, keys / 2, positive, 0.1)) == pytest.approx(float(expected), rel=1e-5)
