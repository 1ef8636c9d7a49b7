"""Voxelisation against a loop over points."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mm3d.ops.voxelize import voxel_centers, voxelize

LOW, SIZE, SHAPE = (-1.0, 0.0, 2.0), (0.5, 0.25, 1.0), (2, 4, 3)


def by_hand(points: Tensor, max_points: int | None, max_voxels: int | None) -> dict[tuple[int, ...], list[int]]:
    """Points of each cell (z, y, x) in their order, in the order in which cells appear."""
    cells: dict[tuple[int, ...], list[int]] = {}
    for number, point in enumerate(points[:, :3].tolist()):
        cell = tuple(int((v - low) // size) for v, low, size in zip(point, LOW, SIZE, strict=True))[::-1]
        if all(0 <= c < limit for c, limit in zip(cell, SHAPE, strict=True)):
            held = cells.get(cell)
            if held is None and (max_voxels is None or len(cells) < max_voxels):
                cells[cell] = [number]
            elif held is not None and (max_points is None or len(held) < max_points):
                held.append(number)
    return cells


@given(st.integers(0, 2**31), st.integers(0, 80), st.sampled_from([None, 1, 3]), st.sampled_from([None, 1, 5]))
def test_it_is_what_a_loop_finds(seed: int, count: int, max_points: int | None, max_voxels: int | None) -> None:
    source = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 4, generator=source, dtype=torch.float64) * 4 - 1.5
    points[:, 2] += 2
    made = voxelize(points, LOW, SIZE, SHAPE, max_points, max_voxels)
    cells = by_hand(points, max_points, max_voxels)
    assert [tuple(i) for i in made.indices.tolist()] == sorted(cells)
    for number, cell in enumerate(sorted(cells)):
        torch.testing.assert_close(made.features[number], points[cells[cell]].mean(0))
        assert int(made.counts[number]) == len(cells[cell])
        assert (made.voxel_of[cells[cell]] == number).all()
    whole = by_hand(points, None, max_voxels)  # points over the limit still know their voxel
    assert int((made.voxel_of >= 0).sum()) == sum(map(len, whole.values()))


def test_faces_belong_to_the_upper_cell_and_nan_to_none() -> None:
    points = torch.tensor([[-0.5, 0.25, 3.0], [0.5, 0.0, 2.0], [float("nan"), 0.1, 2.1], [-1.0, 0.0, 2.0]])
    made = voxelize(points, LOW, SIZE, SHAPE)
    assert made.indices.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert made.voxel_of.tolist() == [1, -1, -1, 0]


def test_decimal_sizes_do_not_shift_cells() -> None:
    """0.7 lies on the face between cells 6 and 7 of 0.1, though neither is a binary number."""
    points = torch.tensor([[0.7, 0.0, 0.0], [0.30000001192, 0.0, 0.0]], dtype=torch.float64)
    made = voxelize(points, (0, 0, 0), (0.1, 1, 1), (1, 1, 10))
    assert made.indices[:, 2].tolist() in ([3, 6], [3, 7])


def test_centres_are_in_their_cells() -> None:
    indices = torch.tensor([[0, 0, 0], [1, 3, 2]])
    centres = voxel_centers(indices, LOW, SIZE)
    assert centres.tolist() == [[-0.75, 0.125, 2.5], [0.25, 0.875, 3.5]]
    assert torch.equal(voxelize(centres, LOW, SIZE, SHAPE).indices, indices)


def test_points_need_three_columns() -> None:
    with pytest.raises(ValueError, match=r"\(N, 3 or more\)"):
        voxelize(torch.zeros(3, 2), LOW, SIZE, SHAPE)
