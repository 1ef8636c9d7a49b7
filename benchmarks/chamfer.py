"""Chamfer distance, forward and backward, against torch.cdist and autograd: python -m benchmarks.chamfer"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.timing import Case, run
from mm3d.ops import chamfer_l2


def cdist_chamfer(a: Tensor, b: Tensor) -> Tensor:
    """The peer."""
    distances = torch.cdist(a, b)
    return distances.min(2).values.square().mean() + distances.min(1).values.square().mean()


def case(batch: int, size: int, goal: float | None, device: torch.device) -> Case:
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randn(batch, size, 3, generator=generator).to(device).requires_grad_()
    target = torch.randn(batch, size, 3, generator=generator).to(device)

    def step(loss: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        value = loss(prediction, target)
        return value.detach(), torch.autograd.grad(value, prediction)[0]

    torch.testing.assert_close(step(chamfer_l2), step(cdist_chamfer), rtol=1e-3, atol=1e-6)
    return Case(
        f"{batch} x {size} against {size}, fwd + bwd",
        lambda: step(chamfer_l2),
        {"torch.cdist + autograd": lambda: step(cdist_chamfer)},
        goal,
    )


def cases(device: torch.device) -> list[Case]:
    goal = 2.0 if device.type == "cpu" else 4.0
    return [case(1216, 32, goal, device), case(128, 256, None, device), case(8, 2048, None, device)]


if __name__ == "__main__":
    run("Chamfer distance and its gradient", cases)
