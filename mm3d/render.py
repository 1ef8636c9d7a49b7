"""A small renderer: clouds as balls with light and shadow, in numpy alone, the same pixels everywhere."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

OVERSAMPLE = 2  # every pixel is the mean of 2 x 2
REACH = 1.1  # half the width of the picture, in units of the cloud's radius
LIGHT = (-0.45, 0.75, 0.55)  # from the left, above, and in front
UP_AXES = {
    "x": (2, 0, 1),
    "y": (0, 1, 2),
    "z": (1, 2, 0),
}  # become right, up, near


def view(points: NDArray[np.floating], azimuth: float, elevation: float, up: str = "y") -> NDArray[np.float64]:
    """Turn points so that x is to the right, y up and z towards the viewer.

    Args:
        points: (N, 3).
        azimuth: degrees about the vertical axis.
        elevation: degrees from which the viewer looks down.
        up: the vertical axis of the data, ``x``, ``y`` or ``z``.

    Raises:
        ValueError: another axis.
    """
    if up not in UP_AXES:
        raise ValueError(f"up axis {up!r}; expected one of {', '.join(UP_AXES)}")
    turn, tilt = math.radians(azimuth), math.radians(elevation)
    about_vertical = np.array([[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]])
    about_right = np.array([[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]])
    return np.asarray(points, dtype=np.float64)[:, UP_AXES[up]] @ (about_right @ about_vertical).T


def render(
    points: NDArray[np.floating],
    colours: NDArray[np.floating],
    size: int = 360,
    ball: float = 0.022,
    azimuth: float = 35.0,
    elevation: float = 22.0,
    up: str = "y",
    ground: float | None = None,
) -> NDArray[np.float64]:
    """Orthographic picture of a cloud that lies in the unit ball around the origin.

    Each point is a lit ball; balls further away fade towards white, and the cloud casts a soft shadow
    straight down.

    Args:
        points: (N, 3); what lies outside the picture is cut off.
        colours: (N, 3) red, green, blue in [0, 1].
        size: width and height in pixels.
        ball: radius of a ball.
        azimuth: see :func:`view`, as ``elevation`` and ``up``.
        ground: height of the ground on the vertical axis; the lowest point by default.

    Returns:
        (size, size, 3) in [0, 1].
    """
    pixels = size * OVERSAMPLE
    image = np.ones((pixels, pixels, 3))
    if len(points) == 0:
        return image[::OVERSAMPLE, ::OVERSAMPLE]
    vertical = "xyz".index(up)
    floor = np.array(points, dtype=np.float64)
    floor[:, vertical] = (floor[:, vertical].min() if ground is None else ground) - ball
    shadow = _shadow(view(floor, azimuth, elevation, up), pixels, ball)
    image *= 1.0 - shadow[:, :, None] * (1.0 - np.array([0.62, 0.66, 0.72]))
    _balls(image, view(points, azimuth, elevation, up), np.asarray(colours, dtype=np.float64), ball)
    return image.reshape(size, OVERSAMPLE, size, OVERSAMPLE, 3).mean(axis=(1, 3))


def _pixels(turned: NDArray[np.float64], pixels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column and row, not rounded, of points turned to the viewer."""
    scale = pixels / (2 * REACH)
    return turned[:, 0] * scale + pixels / 2, pixels / 2 - turned[:, 1] * scale


def _shadow(turned: NDArray[np.float64], pixels: int, ball: float) -> NDArray[np.float64]:
    """How dark the ground is at every pixel, in [0, 1]: the blurred density of points above it."""
    from scipy.ndimage import gaussian_filter

    column, row = (np.floor(axis).astype(int) for axis in _pixels(turned, pixels))
    inside = (column >= 0) & (column < pixels) & (row >= 0) & (row < pixels)
    density = np.bincount(row[inside] * pixels + column[inside], minlength=pixels * pixels).reshape(pixels, pixels)
    radius = ball * pixels / (2 * REACH)
    blurred = gaussian_filter(density.astype(np.float64), 1.6 * radius) * math.pi * radius**2
    return gaussian_filter(1.0 - np.exp(-0.4 * blurred), 1.2 * radius)


def _balls(image: NDArray[np.float64], turned: NDArray[np.float64], colours: NDArray[np.float64], ball: float) -> None:
    """Draw lit balls into the image, nearest on top."""
    pixels = len(image)
    radius = ball * pixels / (2 * REACH)
    reach = math.ceil(radius)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    on_ball = dx**2 + dy**2 <= radius**2
    dx, dy = dx[on_ball], dy[on_ball]
    normal = np.stack([dx, -dy, np.sqrt(np.maximum(radius**2 - dx**2 - dy**2, 0))], axis=1) / radius
    light = np.array(LIGHT) / np.linalg.norm(LIGHT)
    diffuse = 0.62 + 0.45 * np.clip(normal @ light, 0, 1)
    half_way = light + np.array([0, 0, 1])
    shine = 0.22 * np.clip(normal @ (half_way / np.linalg.norm(half_way)), 0, 1) ** 30

    depth = np.clip((turned[:, 2] + 1) / 2, 0, 1)  # 0 the far side of the unit ball, 1 the near side
    haze = (0.42 * (1 - depth))[:, None]
    base = colours * (1 - haze) + haze
    column, row = (np.round(axis).astype(int) for axis in _pixels(turned, pixels))
    columns, rows = column[:, None] + dx, row[:, None] + dy
    height = turned[:, 2, None] + normal[:, 2] * ball
    shade = np.clip(base[:, None, :] * diffuse[:, None] + shine[:, None], 0, 1)
    inside = (columns >= 0) & (columns < pixels) & (rows >= 0) & (rows < pixels)
    order = np.argsort(height[inside], kind="stable")
    # of several values assigned to one pixel numpy keeps the last, here the nearest
    image[rows[inside][order], columns[inside][order]] = shade[inside][order]
