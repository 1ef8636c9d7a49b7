"""Samples of stored clouds: what their draws depend on, and clouds of many equal points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.random import generator
from mm3d.config import PointsConfig
from mm3d.data import transforms
from mm3d.data.clouds import PointClouds, pack
from mm3d.data.samples import LabelledPoints, candidates, draw, evaluation_batch, stored, voting_batch
from mm3d.data.transforms import unit_sphere
from mm3d.data.usable import usable
from mm3d.ops import farthest_point_sample

RANDOM = PointsConfig(count=16, subset="random")


def some_clouds(count: int = 4) -> PointClouds:
    points = np.random.default_rng(0).normal(size=(count, 50, 3)).astype(np.float32)
    return pack(list(points), names=[f"{i}.npy" for i in range(count)])


def padded(size: int = 2000, different: int = 12) -> PointClouds:
    points = np.zeros((size, 3), np.float32)
    points[:different] = np.random.default_rng(1).normal(size=(different, 3))
    return pack([points], names=["padded.npy"])


def test_an_evaluated_cloud_does_not_depend_on_its_neighbours() -> None:
    clouds = some_clouds()
    whole = evaluation_batch(clouds, range(4), RANDOM).points
    left = evaluation_batch(clouds.subset([3, 1]), range(2), RANDOM).points  # as if others had been skipped
    assert torch.equal(left, whole[[3, 1]])
    assert torch.equal(evaluation_batch(clouds, [2], RANDOM).points[0], whole[2])
    assert not torch.equal(evaluation_batch(clouds, [2], RANDOM, seed=1).points[0], whole[2])


def test_equal_clouds_are_evaluated_equally_and_others_are_not() -> None:
    cloud = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    clouds = pack([cloud, cloud, -cloud], names=["a", "b", "c"])
    first, same, mirrored = evaluation_batch(clouds, range(3), RANDOM).points
    assert torch.equal(first, same)
    assert not torch.equal(-first, mirrored)  # drawn independently


def test_a_usable_cloud_of_mostly_equal_points_never_fails() -> None:
    clouds = usable(padded(), 8, 8)
    config = PointsConfig(count=64, subset="random", augment=())
    data, equal = LabelledPoints(clouds, config), 0
    for epoch in range(30):
        plain = draw(2000, 64, generator(epoch))
        equal += bool((plain >= 12).all())
        points = data.sample(0, generator(epoch)).points
        assert points.shape == (64, 3)
        assert len(torch.unique(points, dim=0)) == (13 if (plain >= 12).all() else 1 + int((plain < 12).sum()))
        assert torch.equal(points, data.sample(0, generator(epoch)).points)
        assert torch.isfinite(evaluation_batch(clouds, [0], config, seed=epoch).points).all()
    assert equal > 5  # the plain draw would have failed that often


def test_farthest_points_of_mostly_equal_points() -> None:
    data = LabelledPoints(padded(different=1), PointsConfig(count=8, subset="farthest", augment=()))
    for epoch in range(30):  # 9 farthest points, of which one is drawn away
        assert len(torch.unique(data.sample(0, generator(epoch)).points, dim=0)) == 2


def test_ordinary_samples_are_the_plain_draw() -> None:
    clouds = some_clouds()
    config = PointsConfig(count=16, subset="random", normalize="none", augment=())
    for index in range(4):
        sample = LabelledPoints(clouds, config).sample(index, generator(index))
        assert torch.equal(sample.points, torch.from_numpy(clouds.cloud(index))[draw(50, 16, generator(index))])


def rows(points: torch.Tensor) -> set[tuple[float, ...]]:
    """Points as a set, to see of which others they are a part."""
    return {tuple(point) for point in points.tolist()}


def test_a_cloud_can_be_normalised_before_its_points_are_drawn_with_repeats() -> None:
    clouds = some_clouds()
    whole = rows(unit_sphere(torch.from_numpy(clouds.cloud(1))))
    config = PointsConfig(count=40, subset="with_repeats", normalize="unit_sphere_first", augment=())
    sizes = set()
    for seed in range(20):
        for points in (
            LabelledPoints(clouds, config).sample(1, generator(seed)).points,
            evaluation_batch(clouds, [1], config, seed).points[0],
        ):
            assert points.shape == (40, 3)
            assert rows(points) <= whole
            sizes.add(len(rows(points)))
    assert max(sizes) < 40  # 40 of 50 draws with repeats give some 28 different points
    assert min(sizes) > 15


def test_farthest_points_of_a_cloud_that_is_normalised_first() -> None:
    """The official kernel sees centred points and leaves out those near the origin; raw coordinates have another origin."""
    points = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    points[0], points[1] = points.mean(0), points.mean(0) + 0.001
    clouds = pack([points + 5], names=["far from the origin"])
    config = PointsConfig(count=59, subset="farthest", normalize="unit_sphere_first", augment=())
    whole = unit_sphere(torch.from_numpy(clouds.cloud(0)))
    near = int((whole.norm(dim=1) ** 2 <= 1e-3).sum())
    assert near >= 2
    expected = whole[farthest_point_sample(whole[None], 59, skip_near_origin=True)[0]]
    assert torch.equal(evaluation_batch(clouds, [0], config).points[0], expected)
    assert len(rows(expected)) == 60 - near + 1  # but for the first point, which is the start
    assert len(candidates(whole, config)) == 60


def test_every_vote_draws_its_points_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clouds = pack([np.random.default_rng(2).normal(size=(500, 3)).astype(np.float32)] * 2, names=["a", "b"])
    config = PointsConfig(count=64, subset="farthest", normalize="unit_sphere_first")
    whole = stored(clouds, 0, config).points
    pools = [candidates(whole, config)] * 2
    assert len(pools[0]) == 75  # 1,200 for 1,024
    moved = voting_batch(clouds, [0, 1], config, pools, 0).points
    assert torch.equal(moved[0], moved[1])  # equal clouds, whatever their place
    monkeypatch.setattr(transforms, "scale_and_translate", lambda points, generator: points)
    views = [voting_batch(clouds, [0, 1], config, pools, vote).points[0] for vote in range(4)]
    assert not rows(views[0]) & rows(moved[0])  # every view is scaled and moved
    assert all(len(rows(view)) == 64 and rows(view) <= rows(whole[pools[0]]) for view in views)
    assert len({frozenset(rows(view)) for view in views}) == 4
