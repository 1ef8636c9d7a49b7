"""Generated LiDAR sweeps of streets: rays cast at boxes and spheres. Nothing here was measured by a sensor."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

CLASSES = ("ground", "building", "car", "pole", "trunk", "crown", "person")
GROUND, BUILDING, CAR, POLE, TRUNK, CROWN, PERSON = range(len(CLASSES))
REFLECTANCE = (0.2, 0.3, 0.6, 0.5, 0.25, 0.35, 0.4)
SENSOR_HEIGHT = 1.73  # metres, that of KITTI's car
BEAMS, AZIMUTHS = 32, 900
ELEVATION = (-24.8, 2.0)  # degrees
REACH = 80.0  # metres
NOISE = 0.02  # metres, along the ray
SWEEPS = 48


class Scene(NamedTuple):
    """Boxes (low and high corners, (M, 3) each) and spheres (centre and radius, (S, 4)), each with its class."""

    low: np.ndarray
    high: np.ndarray
    box_class: np.ndarray
    spheres: np.ndarray


@lru_cache(maxsize=2 * SWEEPS)
def street_sweep(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One sweep in a street of its own: points (N, 4) float32 (x, y, z, intensity) and classes (N,) int64.

    The street runs along x; the sensor is at the origin, 1.73 m above the ground. A function of the seed alone.
    """
    draws = np.random.default_rng([seed, 7])
    scene = street(draws)
    elevation = np.radians(np.linspace(*ELEVATION, BEAMS))[:, None]
    azimuth = np.linspace(-np.pi, np.pi, AZIMUTHS, endpoint=False)[None]
    directions = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation + 0 * azimuth)], -1
    ).reshape(-1, 3)
    distance, kind = cast(scene, directions)
    seen = (distance < REACH) & (draws.random(len(distance)) < 0.93)
    distance, kind, directions = distance[seen], kind[seen], directions[seen]
    points = directions * (distance + NOISE * draws.normal(size=len(distance)))[:, None]
    bright = np.clip(np.array(REFLECTANCE)[kind] + 0.08 * draws.normal(size=len(kind)), 0, 1)
    made = np.concatenate([points, bright[:, None]], axis=1).astype(np.float32)
    made.setflags(write=False)
    return made, kind


def street(draws: np.random.Generator) -> Scene:
    """A street with houses on both sides, parked and driving cars, poles, trees and people."""
    boxes: list[tuple[float, ...]] = []
    spheres: list[tuple[float, ...]] = []
    middle = draws.uniform(-1.5, 1.5)  # of the road, as the sensor sees it

    def box(x: float, y: float, size: tuple[float, float, float], kind: int, above: float = 0.0) -> None:
        base = above - SENSOR_HEIGHT
        half = (size[0] / 2, size[1] / 2)
        boxes.append((x - half[0], y - half[1], base, x + half[0], y + half[1], base + size[2], kind))

    for side in (-1, 1):
        x = -REACH
        while x < REACH:
            length, gap = draws.uniform(8, 20), draws.uniform(0, 6)
            depth, height, away = draws.uniform(6, 12), draws.uniform(4, 12), draws.uniform(9, 13)
            box(x + length / 2, middle + side * (away + depth / 2), (length, depth, height), BUILDING)
            x += length + gap
        for x in np.arange(-60, 60, 6.5) + draws.uniform(0, 6):
            if draws.random() < 0.4:
                _car(box, x, middle + side * draws.uniform(4.3, 4.9), draws)
        for x in np.arange(-65, 65, draws.uniform(14, 22)):
            box(x, middle + side * 6.3, (0.25, 0.25, draws.uniform(4, 7)), POLE)
        for x in draws.uniform(-60, 60, draws.integers(2, 7)):
            y, height, radius = middle + side * draws.uniform(6.6, 8.2), draws.uniform(2, 3.5), draws.uniform(1.0, 2.2)
            box(x, y, (0.4, 0.4, height), TRUNK)
            spheres.append((x, y, height + 0.7 * radius - SENSOR_HEIGHT, radius))
        for x in draws.uniform(-40, 40, draws.integers(0, 6)):
            box(x, middle + side * draws.uniform(5.8, 8.5), (0.5, 0.5, draws.uniform(1.5, 1.9)), PERSON)
        for x in draws.uniform(6, 60, draws.integers(0, 3)) * draws.choice([-1, 1]):
            _car(box, x, middle + side * 1.9, draws)
    table = np.array(boxes)
    return Scene(table[:, :3], table[:, 3:6], table[:, 6].astype(np.int64), np.array(spheres).reshape(-1, 4))


def _car(box: object, x: float, y: float, draws: np.random.Generator) -> None:
    """A body and a cabin."""
    assert callable(box)
    length, height = draws.uniform(3.8, 4.8), draws.uniform(0.75, 0.95)
    box(x, y, (length, 1.8, height), CAR, 0.25)
    box(x - 0.2, y, (0.55 * length, 1.6, 0.6), CAR, 0.25 + height)


def cast(scene: Scene, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each ray (R, 3) from the origin goes, infinite where it hits nothing, and the class of what it hits."""
    with np.errstate(divide="ignore"):
        inverse = 1 / directions
        distance = np.where(directions[:, 2] < 0, -SENSOR_HEIGHT * inverse[:, 2], np.inf)
    kind = np.full(len(directions), GROUND)
    flat = directions[:, :2] / np.linalg.norm(directions[:, :2], axis=1, keepdims=True)
    for low, high, of in zip(scene.low, scene.high, scene.box_class, strict=True):
        rays = _towards(flat, low, high)
        with np.errstate(invalid="ignore"):
            one, two = low * inverse[rays], high * inverse[rays]
        enter, leave = np.minimum(one, two).max(axis=1), np.maximum(one, two).min(axis=1)
        hit = (enter > 0) & (enter <= leave) & (enter < distance[rays])
        distance[rays[hit]], kind[rays[hit]] = enter[hit], of
    for *centre, radius in scene.spheres:
        along = directions @ np.array(centre)
        under = along**2 - (np.dot(centre, centre) - radius**2)
        enter = along - np.sqrt(np.maximum(under, 0))
        hit = (under > 0) & (enter > 0) & (enter < distance)
        distance[hit], kind[hit] = enter[hit], CROWN
    return distance, kind


def _towards(flat: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Indices of the rays, given as horizontal unit vectors (R, 2), within the angle that a box is seen under."""
    corners = np.array([(x, y) for x in (low[0], high[0]) for y in (low[1], high[1])])
    if (low[:2] <= 0).all() and (high[:2] >= 0).all():
        return np.arange(len(flat))
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    middle = corners.mean(axis=0)
    middle /= np.linalg.norm(middle) or 1.0
    return np.flatnonzero(flat @ middle >= (corners @ middle).min() - 1e-9)
