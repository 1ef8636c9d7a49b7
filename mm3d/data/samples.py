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
        sample = self._subset(index, generator)
        points = normalized(sample.points, self.config, self.clouds.names[index])
        for name in self.config.augment:
            if name == "rotate_up":
                points = transforms.rotate_up_axis(points, generator, axis=self.config.up_axis)
            else:
                points = AUGMENTATIONS[name](points, generator)
        return sample._replace(points=points)

    def collate(self, samples: Sequence[PointSample]) -> PointBatch:
        return collate(samples)

    def _subset(self, index: int, generator: torch.Generator) -> PointSample:
        whole = stored(self.clouds, index)
        count, size = self.config.count, len(whole.points)
        chosen = torch.arange(size)
        if self.config.subset == "farthest" and size > count:
            chosen = farthest_point_sample(whole.points[None], min(size, round(count * _SPARE)))[0]
        chosen = chosen[draw(len(chosen), count, generator)]
        return take(whole, with_shape(whole.points, chosen, generator))


class UnlabelledPoints(LabelledPoints):
    """Training samples of which only the points matter; a batch is (B, N, 3)."""

    def collate(self, samples: Sequence[PointSample]) -> Tensor:  # type: ignore[override]
        return torch.stack([sample.points for sample in samples])


def evaluation_batch(clouds: PointClouds, indices: Sequence[int], config: PointsConfig, seed: int = 0) -> PointBatch:
    """Clouds as they are evaluated: no augmentation, and always the same points for the same seed.

    ``subset="farthest"`` takes farthest points, which needs no draw; ``"random"`` draws from (seed, the cloud itself), so
    that neither its name nor its neighbours nor files that were skipped change its points.
    """
    samples = []
    for index in indices:
        whole = stored(clouds, index)
        count = config.count
        if config.subset == "farthest" and len(whole.points) > count:
            chosen = farthest_point_sample(whole.points[None], count)[0]
        else:
            content = hashlib.blake2b(whole.points.numpy().tobytes(), digest_size=8).hexdigest()
            source = generator(seed, content, "evaluation")
            chosen = with_shape(whole.points, draw(len(whole.points), count, source), source)
        sample = take(whole, chosen)
        samples.append(sample._replace(points=normalized(sample.points, config, clouds.names[index])))
    return collate(samples)


def stored(clouds: PointClouds, index: int) -> PointSample:
    """A whole stored cloud; part labels are -1 where the data has none."""
    points = torch.from_numpy(clouds.cloud(index))
    parts = np.full(len(points), -1) if clouds.parts is None else clouds.parts_of(index)
    return PointSample(points, int(clouds.labels[index]), torch.from_numpy(parts))


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


def take(sample: PointSample, index: Tensor) -> PointSample:
    """Some points of a sample, with their part labels."""
    return PointSample(sample.points[index], sample.label, sample.parts[index])


def normalized(points: Tensor, config: PointsConfig, name: str) -> Tensor:
    """Points in the unit sphere, if the configuration says so; the error names the cloud."""
    if config.normalize == "none":
        return points
    try:
        return transforms.unit_sphere(points)
    except (ValueError, UserError) as error:
        raise UserError(f"{name}: {error}") from error


def collate(samples: Sequence[PointSample]) -> PointBatch:
    """Samples of equal size as one batch."""
    points, labels, parts = zip(*samples, strict=True)
    return PointBatch(torch.stack(points), torch.tensor(labels), torch.stack(parts))
