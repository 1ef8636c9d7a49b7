"""Stored clouds as samples for training and evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.random import generator
from mm3d.config import PointsConfig
from mm3d.data import transforms
from mm3d.data.clouds import PointClouds
from mm3d.ops import farthest_point_sample

AUGMENTATIONS = {
    "scale_and_translate": transforms.scale_and_translate,
    "scale_and_shift": transforms.scale_and_shift,
    "rotate_any": transforms.rotate_any,
    "jitter": transforms.jitter,
}
# Farthest points taken for every point of a sample, from which the sample is drawn: 1,200 for 1,024 in the papers.
_SPARE = 1200 / 1024


class PointSample(NamedTuple):
    """One cloud: points (N, 3) float32, class label, part label of every point (N,) or -1."""

    points: Tensor
    label: int
    parts: Tensor


class PointBatch(NamedTuple):
    """Clouds of equal size: points (B, N, 3) float32, labels (B,) int64, parts (B, N) int64."""

    points: Tensor
    labels: Tensor
    parts: Tensor


class LabelledPoints:
    """Training samples with labels: a random part of each cloud, normalised and augmented.

    Args:
        clouds: the stored clouds, each with at least ``config.count`` points (fewer are repeated).
        config: how many points, which, and which augmentations.

    A batch is a :class:`PointBatch`.
    """

    def __init__(self, clouds: PointClouds, config: PointsConfig) -> None:
        if len(clouds) == 0:
            raise UserError("no clouds to train on")
        self.clouds = clouds
        self.config = config

    def __len__(self) -> int:
        return len(self.clouds)

    def sample(self, index: int, generator: torch.Generator) -> PointSample:
        whole = stored(self.clouds, index, self.config)
        chosen = drawn(whole.points, candidates(whole.points, self.config), self.config, generator)
        sample = taken(whole, chosen, self.config, self.clouds.names[index])
        points = sample.points
        for name in self.config.augment:
            if name == "rotate_up":
                points = transforms.rotate_up_axis(points, generator, axis=self.config.up_axis)
            else:
                points = AUGMENTATIONS[name](points, generator)
        return sample._replace(points=points)

    def collate(self, samples: Sequence[PointSample]) -> PointBatch:
        return collate(samples)


class UnlabelledPoints(LabelledPoints):
    """Training samples of which only the points matter; a batch is (B, N, 3)."""

    def collate(self, samples: Sequence[PointSample]) -> Tensor:  # type: ignore[override]
        return torch.stack([sample.points for sample in samples])


def evaluation_batch(clouds: PointClouds, indices: Sequence[int], config: PointsConfig, seed: int = 0) -> PointBatch:
    """Clouds as they are evaluated: no augmentation, and always the same points for the same seed.

    ``subset="farthest"`` takes farthest points, which needs no draw; the others draw from (seed, the cloud itself), so
    that neither its name nor its neighbours nor files that were skipped change its points.
    """
    samples = []
    for index in indices:
        whole = stored(clouds, index, config)
        size = len(whole.points)
        if config.subset == "farthest" and size > config.count:
            chosen = farthest(whole.points, config.count, config)
        else:
            source = generator(seed, content(clouds, index), "evaluation")
            chosen = drawn(whole.points, torch.arange(size), config, source)
        samples.append(taken(whole, chosen, config, clouds.names[index]))
    return collate(samples)


def voting_batch(
    clouds: PointClouds, indices: Sequence[int], config: PointsConfig, pools: Sequence[Tensor], vote: int
) -> PointBatch:
    """Clouds as one of several votes sees them: points drawn anew, scaled by axis and moved, by (vote, the cloud itself).

    Args:
        pools: the :func:`candidates` of each cloud, which are the same in every vote.

    Source: test_vote in tools/runner_finetune.py of Point-MAE's official code.
    """
    samples = []
    for index, pool in zip(indices, pools, strict=True):
        whole, source = stored(clouds, index, config), generator(vote, content(clouds, index), "vote")
        chosen = drawn(whole.points, pool, config, source)
        sample = taken(whole, chosen, config, clouds.names[index])
        samples.append(sample._replace(points=transforms.scale_and_translate(sample.points, source)))
    return collate(samples)


def content(clouds: PointClouds, index: int) -> str:
    """A name for the points of a stored cloud, to draw by."""
    return hashlib.blake2b(clouds.cloud(index).tobytes(), digest_size=8).hexdigest()


def stored(clouds: PointClouds, index: int, config: PointsConfig) -> PointSample:
    """A whole stored cloud, normalised where that comes first; part labels are -1 where the data has none."""
    points = normalized(torch.from_numpy(clouds.cloud(index)), "unit_sphere_first", config, clouds.names[index])
    parts = np.full(len(points), -1) if clouds.parts is None else clouds.parts_of(index)
    return PointSample(points, int(clouds.labels[index]), torch.from_numpy(parts))


def candidates(points: Tensor, config: PointsConfig) -> Tensor:
    """Indices of the points that a training sample or a vote is drawn from: all, or 1.17 times as many farthest points."""
    if config.subset != "farthest" or len(points) <= config.count:
        return torch.arange(len(points))
    return farthest(points, min(len(points), round(config.count * _SPARE)), config)


def farthest(points: Tensor, count: int, config: PointsConfig) -> Tensor:
    """Indices of ``count`` farthest points; near the origin none is taken where that is the centre of the whole cloud."""
    first = config.normalize == "unit_sphere_first"  # the coordinates that the kernel of the official codes sees
    return farthest_point_sample(points[None], count, skip_near_origin=first)[0]


def drawn(points: Tensor, pool: Tensor, config: PointsConfig, generator: torch.Generator) -> Tensor:
    """Indices of ``config.count`` of the ``points`` (N, 3), drawn from those in ``pool``, with some shape."""
    if config.subset == "with_repeats":
        chosen = pool[torch.randint(len(pool), (config.count,), generator=generator)]
    else:
        chosen = pool[draw(len(pool), config.count, generator)]
    return with_shape(points, chosen, generator)


def draw(size: int, count: int, generator: torch.Generator) -> Tensor:
    """Indices of ``count`` of ``size`` points: without repeats where there are enough, all and some again where not."""
    order = torch.randperm(size, generator=generator)
    if size >= count:
        return order[:count]
    return torch.cat([order, torch.randint(size, (count - size,), generator=generator)])


def with_shape(points: Tensor, index: Tensor, generator: torch.Generator) -> Tensor:
    """``index``, unless its points are all equal: then as many drawn anew, among the different ``points`` (N, 3).

    A scan padded with one repeated point can give such a sample, which has no shape. Only then is anything drawn
    here, so that the samples of ordinary clouds do not change.
    """
    if bool((points[index] != points[index[0]]).any()):
        return index
    _, different = np.unique(points.numpy(), axis=0, return_index=True)
    return torch.from_numpy(different)[draw(len(different), len(index), generator)]


def taken(whole: PointSample, chosen: Tensor, config: PointsConfig, name: str) -> PointSample:
    """Some points of a cloud with their part labels, normalised where that comes after they are taken."""
    points = normalized(whole.points[chosen], "unit_sphere", config, name)
    return PointSample(points, whole.label, whole.parts[chosen])


def normalized(points: Tensor, when: str, config: PointsConfig, name: str) -> Tensor:
    """Points in the unit sphere, if that is ``when`` the configuration says so; the error names the cloud."""
    if config.normalize != when:
        return points
    try:
        return transforms.unit_sphere(points)
    except (ValueError, UserError) as error:
        raise UserError(f"{name}: {error}") from error


def collate(samples: Sequence[PointSample]) -> PointBatch:
    """Samples of equal size as one batch."""
    points, labels, parts = zip(*samples, strict=True)
    return PointBatch(torch.stack(points), torch.tensor(labels), torch.stack(parts))
