"""Nearest neighbours against torch.cdist and topk: python -m benchmarks.knn"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.timing import Case, run
from mm3d.ops import knn


def cdist_topk(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The peer."""
    distances, index = torch.cdist(queries, points).topk(k, dim=-1, largest=False)
    return distances.square(), index


def case(batch: int, size: int, queries: int, k: int, goal: float | None, device: torch.device) -> Case:
    points = torch.randn(batch, size, 3, generator=torch.Generator().manual_seed(0)).to(device)
    centres = points[:, :queries].contiguous()
    # cdist itself expands the square, hence the tolerance
    torch.testing.assert_close(knn(centres, points, k)[0], cdist_topk(centres, points, k)[0], rtol=1e-3, atol=1e-4)
    return Case(
        f"{batch} x {queries} queries, {size} points, k={k}",
        lambda: knn(centres, points, k),
        {"torch.cdist + topk": lambda: cdist_topk(centres, points, k)},
        goal,
    )


def cases(device: torch.device) -> list[Case]:
    goals = (None, 1.6, 7.0) if device.type == "cpu" else (3.0, 3.0, 3.0)
    shapes = ((32, 256, 16, 16), (32, 1024, 64, 32), (8, 8192, 512, 32))
    return [case(*shape, goal, device) for shape, goal in zip(shapes, goals, strict=True)]


if __name__ == "__main__":
    run("Nearest neighbours, exact, ascending", cases)
