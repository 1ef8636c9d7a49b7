"""Samples of stored clouds: what their draws depend on, and clouds of many equal points."""

from __future__ import annotations

import numpy as np
import torch

from core.random import generator
from mm3d.config import PointsConfig
from mm3d.data.clouds import PointClouds, pack
from mm3d.data.samples import LabelledPoints, draw, evaluation_batch
from mm3d.data.usable import usable

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
