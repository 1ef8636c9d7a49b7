"""Augmentations and normalisation of one cloud: (points (N, 3), generator) -> (N', 3); plain functions.

Random numbers come from the CPU generator given and are drawn in float32 on the CPU, whatever the device
of the points, so that a seed gives the same result everywhere. The input is never changed in place.
"""

from __future__ import annotations

import torch
from torch import Tensor


def scale_and_translate(
    points: Tensor, generator: torch.Generator, low: float = 2 / 3, high: float = 3 / 2, shift: float = 0.2
) -> Tensor:
    """Each axis scaled by U(low, high), then moved by U(-shift, shift), as Point-MAE does (ECCV 2022)."""
    scale = low + (high - low) * torch.rand(3, generator=generator)
    move = shift * (2 * torch.rand(3, generator=generator) - 1)
    return points * scale.to(points) + move.to(points)


def scale_and_shift(
    points: Tensor, generator: torch.Generator, low: float = 0.8, high: float = 1.25, shift: float = 0.1
) -> Tensor:
    """All axes scaled by one U(low, high), then each moved by U(-shift, shift), as part segmentation is trained.

    Source: segmentation/provider.py of Point-MAE's official code (PointNet's augmentation).
    """
    scale = low + (high - low) * torch.rand((), generator=generator)
    move = shift * (2 * torch.rand(3, generator=generator) - 1)
    return points * scale.to(points) + move.to(points)


def rotate_up_axis(points: Tensor, generator: torch.Generator, axis: int = 1) -> Tensor:
    """Turned by a uniform angle about coordinate ``axis`` (0, 1, 2), counter-clockwise seen from its tip."""
    if axis not in (0, 1, 2):
        raise ValueError(f"axis is {axis}; expected 0, 1 or 2")
    angle = 2 * torch.pi * torch.rand((), generator=generator, dtype=torch.float64)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation = torch.eye(3, dtype=torch.float64)
    rotation[first, first] = rotation[second, second] = angle.cos()
    rotation[second, first], rotation[first, second] = angle.sin(), -angle.sin()
    return points @ rotation.T.to(points)


def random_rotation(generator: torch.Generator) -> Tensor:
    """(3, 3) float64 rotation matrix, uniform over SO(3): a normalised Gaussian quaternion."""
    w, x, y, z = torch.nn.functional.normalize(torch.randn(4, generator=generator, dtype=torch.float64), dim=0)
    return torch.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]).reshape(3, 3)  # fmt: skip


def rotate_any(points: Tensor, generator: torch.Generator) -> Tensor:
    """Turned about the origin by a rotation uniform over SO(3)."""
    return points @ random_rotation(generator).T.to(points)


def jitter(points: Tensor, generator: torch.Generator, sigma: float = 0.01, clip: float = 0.05) -> Tensor:
    """Gaussian noise of deviation ``sigma`` on every coordinate, cut off at ``clip`` (PointNet, 5.1)."""
    if sigma < 0 or clip < 0:
        raise ValueError(f"sigma {sigma} and clip {clip} have to be >= 0")
    noise = sigma * torch.randn(points.shape, generator=generator)
    return points + noise.clamp(-clip, clip).to(points)


def random_subset(points: Tensor, generator: torch.Generator, count: int) -> Tensor:
    """``count`` points in random order, without replacement; where there are fewer, all and repeats."""
    total = len(points)
    if total == 0 or count < 1:
        raise ValueError(f"{count} of {total} points; expected at least one of each")
    order = torch.randperm(total, generator=generator)[:count]
    if count > total:
        order = torch.cat([order, torch.randint(total, (count - total,), generator=generator)])
    return points[order.to(points.device)]


def farthest_subset(points: Tensor, count: int) -> Tensor:
    """``count`` points by farthest point sampling from index 0, in that order; ValueError if fewer."""
    from mm3d.ops import farthest_point_sample

    if not 1 <= count <= len(points):
        raise ValueError(f"{count} of {len(points)} points; expected 1..{len(points)}")
    return points[farthest_point_sample(points[None], count)[0]]


def unit_sphere(points: Tensor) -> Tensor:
    """Centred on the mean and divided by the largest distance from it, which becomes 1.

    ValueError if there are no points, all are equal, or a coordinate is not finite: never NaN.
    """
    if len(points) == 0 or not bool(torch.isfinite(points).all()):
        raise ValueError("unit_sphere needs at least one point and finite coordinates")
    if bool((points == points[0]).all()):
        raise ValueError(f"all {len(points)} points are equal; the unit sphere is undefined")
    # the first point is taken off and the range divided out, so that neither a far-away nor a tiny nor a
    # huge cloud loses its shape to rounding, underflow or overflow
    wide = points.double() - points[0].double()
    wide = wide / wide.abs().max()
    centred = wide - wide.mean(dim=0)
    return (centred / centred.norm(dim=1).max()).to(points.dtype)
