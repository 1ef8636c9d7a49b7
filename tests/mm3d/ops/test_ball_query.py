"""Ball query against the rule of PointNet++ written out point by point."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mm3d.ops import ball_query


def kernel(queries: Tensor, points: Tensor, radius: float, k: int) -> list[list[int]]:
    limit = np.float32(radius) * np.float32(radius)
    out = []
    for x, y, z in queries.numpy():
        row, count = [0] * k, 0
        for i, (px, py, pz) in enumerate(points.numpy()):
            squared = (x - px) * (x - px) + (y - py) * (y - py) + (z - pz) * (z - pz)
            if squared < limit:
                if count == 0:
                    row = [i] * k
                row[count] = i
                count += 1
                if count == k:
                    break
        out.append(row)
    return out


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 50),
    queries=st.integers(1, 10),
    k=st.integers(1, 60),
    radius=st.sampled_from([0.05, 0.5, 1.0, 2.0, 10.0]),
    grid=st.booleans(),
)
def test_equals_the_kernel(seed: int, size: int, queries: int, k: int, radius: float, grid: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    both = torch.randn(2, queries + size, 3, generator=generator)
    if grid:  # distances of exactly the radius are outside
        both = both.round()
    query, points = both[:, :queries], both[:, queries:]
    index = ball_query(query, points, radius, k)
    assert index.dtype == torch.long
    for b in range(2):
        assert index[b].tolist() == kernel(query[b], points[b], radius, k)


def test_fill_none_found_and_strict_radius() -> None:
    points = torch.tensor([[[5.0, 0, 0], [1, 0, 0], [0.5, 0, 0], [0, 0, 0]]])
    assert ball_query(torch.zeros(1, 1, 3), points, 1.0, 4).tolist() == [[[2, 3, 2, 2]]]
    assert ball_query(torch.full((1, 1, 3), 50.0), points, 1.0, 3).tolist() == [[[0, 0, 0]]]


def test_several_tiles_and_double() -> None:
    points = torch.rand(1, 30000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    index = ball_query(points[:, :20], points, 0.1, 8)
    squared = (points[:, :20, None] - points[:, None]).square().sum(-1)
    for row, inside in zip(index[0], squared[0] < 0.1**2, strict=True):
        found = inside.nonzero()[:8, 0]
        assert torch.equal(row[: len(found)], found)


@pytest.mark.parametrize(
    ("queries", "points", "radius", "k"),
    [
        ((1, 2, 3), (1, 4, 3), 0.0, 2),
        ((1, 2, 3), (1, 4, 3), float("nan"), 2),
        ((1, 2, 3), (1, 4, 3), 1.0, 0),
        ((1, 2, 2), (1, 4, 2), 1.0, 2),
        ((1, 2, 3), (1, 0, 3), 1.0, 2),
        ((1, 2, 3), (2, 4, 3), 1.0, 2),
    ],
)
def test_errors(queries: tuple[int, ...], points: tuple[int, ...], radius: float, k: int) -> None:
    with pytest.raises(ValueError, match=r"queries|points|radius"):
        ball_query(torch.zeros(queries), torch.zeros(points), radius, k)
