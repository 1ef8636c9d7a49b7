"""PReLU against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.prelu import PReLU


@pytest.mark.parametrize("slope", [0.25, 0.0, -0.5])
@pytest.mark.parametrize("transposed", [False, True])
def test_value_and_gradients_are_torchs(slope: float, transposed: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = PReLU().double(), nn.PReLU().double()
    theirs.load_state_dict(ours.state_dict())
    for module in (ours, theirs):
        nn.init.constant_(module.weight, slope)
    values = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    values[0, :3] = 0
    made = []
    for module in (ours, theirs):
        x = values.clone().requires_grad_()
        out = module(x.t() if transposed else x)
        made.append((out, *torch.autograd.grad(out.sin().sum(), (x, module.weight))))
    for mine, other in zip(*made, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(PReLU().double(), (x,))


def test_half_precision_sums_the_slope_in_its_own_dtype() -> None:
    ours = PReLU()
    x = (-torch.ones(100_000, dtype=torch.bfloat16)).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = ours(x)
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert ours.weight.grad is not None
    assert float(ours.weight.grad) == -100_000
    assert x.grad is not None
    assert torch.equal(x.grad, torch.full_like(x, 0.25))
