"""Objects of KITTI: label_2/N.txt and calib/N.txt beside velodyne/N.bin, and the class of every point."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.errors import UserError

NAMES = ("background", "Car", "Pedestrian", "Cyclist")
WIDTH, HEIGHT = 1242, 375  # pixels, of most frames; a frame's own where its image is there
PNG = b"\x89PNG\r\n\x1a\n"


class Calibration(NamedTuple):
    """From the LiDAR to the left colour camera and its image: (4, 4), and (3, 4) in pixels; float64."""

    lidar_to_camera: np.ndarray
    projection: np.ndarray


class Objects(NamedTuple):
    """M labelled objects: names, boxes (M, 7) in the LiDAR's frame, and what the image hides from scoring.

    A box is the centre x, y, z and length, width, height in metres, and the yaw in radians, counter-clockwise from x.
    ``ignored``: (I, 4) float64 rectangles of the image, left, top, right, bottom in pixels.
    """

    names: tuple[str, ...]
    boxes: np.ndarray
    ignored: np.ndarray


def label_file(sweep: Path) -> Path:
    """Where KITTI keeps the objects of a sweep."""
    return sweep.parent.parent / "label_2" / f"{sweep.stem}.txt"


def point_classes(sweep: Path, points: np.ndarray) -> np.ndarray:
    """The class of each point of a sweep: (N,) int64 for ``points`` (N, 4), by the boxes that hold them.

    -1 for points that nobody labelled: outside the image of the left colour camera (the size of ``image_2/N.png``, where it
    is there, else 1,242 x 375), in a region called DontCare, or in the box of another kind of object (Van, Truck,
    Person_sitting, ...), which KITTI scores neither as one of its classes nor as background. What is in an object's box is
    of it, even in the image's DontCare regions.

    Raises:
        UserError: calibration or labels missing or not readable.
    """
    root = sweep.parent.parent
    calibration = read_calibration(root / "calib" / f"{sweep.stem}.txt")
    objects = read_objects(label_file(sweep), calibration)
    pixel, seen = in_image(points[:, :3], calibration, image_size(root / "image_2" / f"{sweep.stem}.png"))
    classes = np.where(seen, 0, -1)
    for left, top, right, bottom in objects.ignored:
        inside = (pixel >= (left, top)).all(1) & (pixel <= (right, bottom)).all(1)
        classes[seen & inside] = -1
    numbers = np.array([NAMES.index(name) if name in NAMES else -1 for name in objects.names] + [0])
    of_box = points_in_boxes(points[:, :3], objects.boxes)
    return np.where(of_box >= 0, numbers[of_box], classes)


def read_calibration(path: Path) -> Calibration:
    """The matrices P2, R0_rect and Tr_velo_to_cam of a calibration file.

    Raises:
        UserError: missing, or without one of them.
    """
    found: dict[str, np.ndarray] = {}
    sizes = {"P2": 12, "R0_rect": 9, "Tr_velo_to_cam": 12}
    for number, line in enumerate(_lines(path), 1):
        key, _, rest = line.partition(":")
        if key.strip() not in sizes:
            continue
        values = _numbers(rest.split(), path, number)
        if len(values) != sizes[key.strip()]:
            raise UserError(f"{path}, line {number}: {len(values)} numbers of {key}; expected {sizes[key.strip()]}")
        found[key.strip()] = values.reshape(3, -1)
    for key in sizes:
        if key not in found:
            raise UserError(f"{path}: no {key}; expected P2, R0_rect and Tr_velo_to_cam, as KITTI's object files have")
    rectify, moved = np.eye(4), np.eye(4)
    rectify[:3, :3], moved[:3] = found["R0_rect"], found["Tr_velo_to_cam"]
    try:
        np.linalg.inv(rectify @ moved)
    except np.linalg.LinAlgError:
        raise UserError(f"{path}: R0_rect times Tr_velo_to_cam has no inverse") from None
    return Calibration(rectify @ moved, found["P2"])


def read_objects(path: Path, calibration: Calibration) -> Objects:
    """The objects of a label file, in the frame of the LiDAR.

    Raises:
        UserError: missing, or a line that is not KITTI's.

    Source: readme.txt of KITTI's object development kit: type, truncated, occluded, alpha, the rectangle in the image, height,
    width, length, the middle of the bottom in the camera's frame (x right, y down, z forward), rotation around y.
    """
    names, boxes, ignored = [], [], []
    to_lidar = np.linalg.inv(calibration.lidar_to_camera)
    for number, line in enumerate(_lines(path), 1):
        words = line.split()
        if not words:
            continue
        if len(words) not in (15, 16):
            raise UserError(f"{path}, line {number}: {len(words)} columns; expected the 15 of KITTI's labels")
        values = _numbers(words[1:15], path, number)
        if words[0] == "DontCare":
            ignored.append(values[3:7])
            continue
        height, width, length, x, y, z, turn = values[7:]
        if min(height, width, length) <= 0:
            raise UserError(f"{path}, line {number}: a {words[0]} of {height} x {width} x {length} m")
        centre = to_lidar[:3] @ (x, y - height / 2, z, 1)
        names.append(words[0])
        boxes.append([*centre, length, width, height, -turn - np.pi / 2])
    return Objects(tuple(names), np.array(boxes).reshape(-1, 7), np.array(ignored).reshape(-1, 4))


def points_in_boxes(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The box that holds each point: (N,) int64 for points (N, 3) and boxes (M, 7) as in :class:`Objects`, -1 for none.

    Faces belong to a box; of several boxes the one whose centre is nearest.
    """
    found = np.full(len(points), -1, dtype=np.int64)
    nearest = np.full(len(points), np.inf)
    for number, (x, y, z, length, width, height, yaw) in enumerate(np.asarray(boxes, dtype=np.float64)):
        away = points.astype(np.float64) - (x, y, z)
        along = np.cos(yaw) * away[:, 0] + np.sin(yaw) * away[:, 1]
        across = np.cos(yaw) * away[:, 1] - np.sin(yaw) * away[:, 0]
        inside = np.abs(np.stack([along / length, across / width, away[:, 2] / height])).max(0) <= 0.5
        distance = np.square(away).sum(1)
        closer = inside & (distance < nearest)
        found[closer], nearest[closer] = number, distance[closer]
    return found


def in_image(points: np.ndarray, calibration: Calibration, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where points (N, 3) are in the image, (N, 2) pixels, and (N,) whether they are in it and in front of the camera."""
    ones = np.concatenate([points.astype(np.float64), np.ones((len(points), 1))], axis=1)
    camera = ones @ calibration.lidar_to_camera.T
    made = camera @ calibration.projection.T
    with np.errstate(divide="ignore", invalid="ignore"):
        pixel = made[:, :2] / made[:, 2:]
    seen = (camera[:, 2] > 0) & (made[:, 2] > 0) & (pixel >= 0).all(1) & (pixel < size).all(1)
    return pixel, seen


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG from its first bytes; those of most of KITTI's images where it is not there."""
    try:
        with path.open("rb") as file:
            head = file.read(24)
    except OSError:
        return WIDTH, HEIGHT
    if head[:8] != PNG or len(head) < 24:
        raise UserError(f"{path}: not a PNG file")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({type(error).__name__})") from error


def _numbers(words: list[str], path: Path, line: int) -> np.ndarray:
    try:
        values = np.array([float(word) for word in words])
    except ValueError as error:
        raise UserError(f"{path}, line {line}: {error}") from None
    if not np.isfinite(values).all():
        raise UserError(f"{path}, line {line}: a number that is not finite")
    return values
