"""GeoMAE's targets: closed forms on planes and lines, and the released formulas written out with loops."""

from __future__ import annotations

import pytest
import torch
from tiny_pillars import GRID, batch
from torch import Tensor

from core.random import generator
from mm3d.config.pillars import PillarGridConfig
from mm3d.data.pillar_samples import pillar_batch
from mm3d.layers.pillars import Pillars, pillarize
from mm3d.pillars.geometry import part_centroids, surfaces

MIDDLE = (2, 2, 4)


def pillars_of(points: Tensor, grid: PillarGridConfig = GRID) -> Pillars:
    if points.shape[1] == 3:
        points = torch.cat([points, torch.zeros(len(points), 1)], dim=1)
    return Pillars(pillar_batch([pillarize(points, grid)]), grid)


def parts_by_hand(pillars: Pillars, divisions: tuple[int, int, int]) -> list[dict[int, list[Tensor]]]:
    """For every pillar, the points (metres) of its sub-voxels, by their number in the order (z, y, x)."""
    grid, found = pillars.config, []
    for index, part in zip(pillars.indices, pillars.points.split(pillars.counts.tolist()), strict=True):
        parts: dict[int, list[Tensor]] = {}
        for point in part:
            number = 0
            for axis in (2, 1, 0):
                edge = grid.voxel_size[axis] / divisions[axis]
                low = grid.low[axis] + int(index[3 - axis]) * grid.voxel_size[axis]
                number = number * divisions[axis] + int((float(point[axis]) - low) / edge)
            parts.setdefault(number, []).append(point[:3])
        found.append(parts)
    return found


@pytest.mark.parametrize("divisions", [(1, 1, 1), (2, 2, 4), (4, 4, 8), (3, 1, 2)])
def test_centroids_and_occupancy(divisions: tuple[int, int, int]) -> None:
    pillars = Pillars(batch(), GRID)
    made = part_centroids(pillars, divisions)
    x, y, z = divisions
    assert made.shape == (len(pillars), x * y * z, 4)
    edge = torch.tensor(GRID.voxel_size) / torch.tensor(divisions)
    for row, parts in enumerate(parts_by_hand(pillars, divisions)):
        assert made[row, :, 3].nonzero().squeeze(1).tolist() == sorted(parts)
        for number, points in parts.items():
            cell = torch.tensor([number % x, number // x % y, number // (x * y)])
            corner = pillars.centers[row] - torch.tensor(GRID.voxel_size) / 2 + cell * edge
            expected = (torch.stack(points).mean(0) - corner) / edge
            torch.testing.assert_close(made[row, number, :3], expected, rtol=1e-4, atol=1e-4)
    assert (made[..., :3] >= 0).all()
    assert (made[..., :3] <= 1).all()
    assert (made[made[..., 3] == 0] == 0).all()


def test_centroids_of_known_points() -> None:
    """Two points of one sub-voxel at 1/4 and 3/4 of its edge, one in the opposite corner of the pillar."""
    low, edge = torch.tensor([0.0, 0.0, -2.0]), torch.tensor([0.5, 0.5, 1.0])
    points = torch.stack([low + edge * 0.25, low + edge * 0.75, low + edge * torch.tensor([1.5, 1.5, 3.5])])
    made = part_centroids(pillars_of(points), MIDDLE)[0]
    assert made[:, 3].nonzero().squeeze(1).tolist() == [0, 15]
    torch.testing.assert_close(made[0, :3], torch.full((3,), 0.5))
    torch.testing.assert_close(made[15, :3], torch.full((3,), 0.5))
    whole = part_centroids(pillars_of(points), (1, 1, 1))[0, 0]
    torch.testing.assert_close(whole[:3], (points.mean(0) - low) / torch.tensor([1.0, 1.0, 4.0]))


def plane(a: float, b: float, c: float, count: int = 4000) -> Tensor:
    xy = (torch.rand(count, 2, generator=generator("plane")) - 0.5) * torch.tensor([16.0, 12.0])
    return torch.cat([xy, (a * xy[:, :1] + b * xy[:, 1:] + c)], dim=1)


@pytest.mark.parametrize(("a", "b", "c"), [(0.0, 0.0, -1.5), (0.1, -0.05, -0.9), (-0.12, 0.08, 0.95), (0.0, 0.0, 1.2)])
def test_a_plane_has_its_normal_towards_the_sensor_and_no_curvature(a: float, b: float, c: float) -> None:
    found = surfaces(pillars_of(plane(a, b, c)), MIDDLE)
    upwards = torch.tensor([-a, -b, 1.0]) / torch.tensor([-a, -b, 1.0]).norm()
    expected = upwards if c < 0 else -upwards  # the sensor, at the origin, is above the plane or below it
    assert found.known.all()
    torch.testing.assert_close(found.normal, expected.expand_as(found.normal), rtol=1e-3, atol=1e-3)
    assert found.curvature[:, 2].max() < 1e-5
    torch.testing.assert_close(found.curvature.sum(1), torch.ones(len(found.curvature)))


def test_a_wall() -> None:
    """A plane along y and z, 3.3 m to the right: its normal looks back, along -x."""
    source = generator("wall")
    yz = (torch.rand(3000, 2, generator=source) - 0.5) * torch.tensor([12.0, 4.0])
    found = surfaces(pillars_of(torch.cat([torch.full((3000, 1), 3.3), yz], dim=1)), MIDDLE)
    assert found.known.all()
    torch.testing.assert_close(found.normal, torch.tensor([-1.0, 0, 0]).expand_as(found.normal), rtol=1e-4, atol=1e-4)


def test_points_and_lines_have_no_normal() -> None:
    far = PillarGridConfig((30.0, 30.0, -2.0), (50.0, 50.0, 2.0), (1.0, 1.0, 4.0))
    for grid, place in ((GRID, (2.2, 3.1, 0.4)), (far, (43.21, 37.77, 0.123))):
        point = surfaces(pillars_of(torch.tensor([place, place]), grid), MIDDLE)
        assert not point.known.any()
    line = torch.stack([torch.linspace(-3.9, 3.9, 200), torch.full((200,), 0.3), torch.full((200,), -1.0)], dim=1)
    found = surfaces(pillars_of(line), MIDDLE)
    assert not found.known.any()
    torch.testing.assert_close(found.curvature, torch.tensor([1.0, 0, 0]).expand_as(found.curvature), atol=1e-4, rtol=0)
    assert point.normal.isfinite().all()
    assert point.curvature.isfinite().all()


def test_equal_spreads_are_equal_shares() -> None:
    """Six points on the axes about the middle of a pillar, each alone in its sub-voxel: no direction is flatter."""
    grid = PillarGridConfig((-3.0, -3.0, -1.5), (3.0, 3.0, 1.5), (3.0, 3.0, 3.0))
    middle = torch.tensor([1.5, 1.5, 0.0])
    around = torch.cat([torch.eye(3), -torch.eye(3)]) + middle
    found = surfaces(pillars_of(around, grid), (3, 3, 3))
    torch.testing.assert_close(found.curvature, torch.full((1, 3), 1 / 3), rtol=1e-4, atol=1e-4)
    assert not found.known.any()


def test_surfaces_are_those_of_the_released_formula() -> None:
    """For every pillar: centroids of sub-voxels in it and its eight neighbours, about its own centroid, and an SVD."""
    pillars = Pillars(batch((0, 1)), GRID)
    found = surfaces(pillars, MIDDLE)
    centroids = [[torch.stack(points).mean(0) for points in parts.values()] for parts in parts_by_hand(pillars, MIDDLE)]
    rows = {tuple(index): row for row, index in enumerate(pillars.indices.tolist())}
    own = [part.mean(0)[:3] for part in pillars.points.split(pillars.counts.tolist())]
    compared = 0
    for (sweep, _, y, x), row in rows.items():
        near = [rows.get((sweep, 0, y + dy, x + dx)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        spread = torch.stack([c for n in near if n is not None for c in centroids[n]]) - own[row]
        spread = spread.double()
        _, values, vectors = torch.linalg.svd(spread.T @ spread)
        shares = (values + 1e-9) / (values + 1e-9).sum()
        torch.testing.assert_close(found.curvature[row], shares.float(), rtol=1e-3, atol=1e-4)
        if values[1] - values[2] > 1e-2 * values[0]:  # well determined
            along = float(found.normal[row].double() @ vectors[-1])
            assert abs(abs(along) - 1) < 1e-3
            compared += 1
            assert found.known[row]
    assert compared > 100


def test_the_order_of_points_does_not_matter() -> None:
    points = plane(0.1, 0.2, -1, 500) + torch.randn(500, 3, generator=generator("noise")) * 0.1
    one, other = (surfaces(pillars_of(p), MIDDLE) for p in (points, points[torch.randperm(500)]))
    assert torch.equal(one.known, other.known)
    torch.testing.assert_close(one.normal[one.known], other.normal[one.known], rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(one.curvature, other.curvature, rtol=1e-3, atol=1e-4)


def test_sweeps_of_a_batch_do_not_see_each_other() -> None:
    together = surfaces(Pillars(batch((0, 1)), GRID), MIDDLE)
    alone = surfaces(Pillars(batch((1,)), GRID), MIDDLE)
    torch.testing.assert_close(together.curvature[-len(alone.curvature) :], alone.curvature)
    torch.testing.assert_close(together.normal[-len(alone.normal) :], alone.normal, rtol=1e-4, atol=1e-4)


def test_far_from_the_origin_nothing_is_lost() -> None:
    """Ground 50 m away, where sums of squares of coordinates would cancel in float32."""
    grid = PillarGridConfig((40.0, 40.0, -5.0), (50.0, 50.0, 3.0), (0.25, 0.25, 8.0))
    xy = 40 + 10 * torch.rand(40_000, 2, generator=generator("far"))
    points = torch.cat([xy, torch.full((40_000, 1), -1.7)], dim=1)
    found = surfaces(pillars_of(points, grid), MIDDLE)
    torch.testing.assert_close(found.normal, torch.tensor([0.0, 0, 1]).expand_as(found.normal), rtol=1e-3, atol=1e-3)
