"""KITTI's boxes as classes of points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from mm3d.config.voxels import SweepsConfig
from mm3d.data.kitti import NAMES, image_size, in_image, points_in_boxes, read_calibration, read_objects
from mm3d.data.labelled_sweeps import labelled_sweeps

CAR = "Car 0.00 0 -1.57 600.0 150.0 650.0 200.0 1.50 1.60 4.00 0.0 1.65 20.0 -1.570796"  # lengthwise ahead, 20 m away
VAN = "Van 0.00 0 -1.57 600.0 150.0 650.0 200.0 2.00 2.00 4.00 5.0 1.65 30.0 -1.570796"
NOWHERE = "DontCare -1 -1 -10 0.0 0.0 100.0 375.0 -1 -1 -1 -1000 -1000 -1000 -10"


def numbers(values: np.ndarray) -> str:
    return " ".join(f"{v:.9e}" for v in np.asarray(values, dtype=float).ravel())


def calibration_text() -> str:
    """A camera in the LiDAR's place that looks along its x: camera x is -y, camera y is -z."""
    turn = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]])
    projection = np.array([[720, 0, 621, 0], [0, 720, 187, 0], [0, 0, 1, 0]])
    return "\n".join(
        [
            f"P0: {numbers(projection)}",
            f"P2: {numbers(projection)}",
            f"R0_rect: {numbers(np.eye(3))}",
            f"Tr_velo_to_cam: {numbers(turn)}",
            f"Tr_imu_to_velo: {numbers(turn)}",
            "",
        ]
    )


def folder(root: Path, points: np.ndarray, objects: list[str]) -> Path:
    """One frame as KITTI's object benchmark keeps it."""
    for name in ("velodyne", "label_2", "calib"):
        (root / "training" / name).mkdir(parents=True)
    points.astype("<f4").tofile(root / "training" / "velodyne" / "000007.bin")
    (root / "training" / "label_2" / "000007.txt").write_text("\n".join(objects) + "\n")
    (root / "training" / "calib" / "000007.txt").write_text(calibration_text())
    return root


def test_boxes_turn_from_the_camera_to_the_sensor(tmp_path: Path) -> None:
    root = folder(tmp_path, np.zeros((1, 4)), [CAR, NOWHERE, VAN]) / "training"
    calibration = read_calibration(root / "calib" / "000007.txt")
    objects = read_objects(root / "label_2" / "000007.txt", calibration)
    assert objects.names == ("Car", "Van")
    # 20 m ahead, the bottom 1.65 m below the sensor, as long as it is along x
    np.testing.assert_allclose(objects.boxes[0], [20, 0, -0.9, 4, 1.6, 1.5, 0], atol=1e-5)
    np.testing.assert_allclose(objects.boxes[1, :3], [30, -5, -0.65], atol=1e-5)
    assert objects.ignored.tolist() == [[0, 0, 100, 375]]


def test_points_have_the_class_of_their_box(tmp_path: Path) -> None:
    points = np.array(
        [
            [20, 0, -0.9, 0],  # in the car
            [21.9, 0.79, -0.2, 0],  # in a corner of it
            [22.1, 0, -0.9, 0],  # behind it
            [30, -5, -0.65, 0],  # in the van, which is none of the classes
            [20, -3, -1.6, 0],  # ground
            [-20, 0, -1.6, 0],  # behind the camera
            [10, 40, 0, 0],  # left of the image
            [20, 16, 0, 0],  # in the region nobody cared for: pixel 45
        ]
    )
    sweeps, names = labelled_sweeps(str(folder(tmp_path, points, [CAR, VAN, NOWHERE])), SweepsConfig())
    assert names == NAMES == ("background", "Car", "Pedestrian", "Cyclist")
    assert sweeps[0].labels.tolist() == [1, 1, 0, -1, 0, -1, -1, -1]
    assert sweeps[0].labels.dtype == np.int64


def test_an_image_says_its_own_size(tmp_path: Path) -> None:
    root = folder(tmp_path, np.array([[20, -17, 0, 0.0]]), [CAR]) / "training"  # pixel 1,233
    assert labelled_sweeps(str(tmp_path), SweepsConfig())[0][0].labels.tolist() == [0]
    (root / "image_2").mkdir()
    image = root / "image_2" / "000007.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (1224).to_bytes(4, "big") + (370).to_bytes(4, "big"))
    assert image_size(image) == (1224, 370)
    assert labelled_sweeps(str(tmp_path), SweepsConfig())[0][0].labels.tolist() == [-1]
    image.write_bytes(b"JFIF")
    with pytest.raises(UserError, match=r"000007\.png: not a PNG"):
        labelled_sweeps(str(tmp_path), SweepsConfig())


def test_boxes_hold_what_was_put_into_them() -> None:
    draws = np.random.default_rng(0)
    boxes = np.concatenate(
        [draws.uniform(-30, 30, (9, 3)), draws.uniform(1, 3, (9, 3)), draws.uniform(-7, 7, (9, 1))], 1
    )
    boxes[:, 0] += 100 * np.arange(9)  # apart
    inside, outside = draws.uniform(-0.5, 0.5, (9, 50, 3)), draws.uniform(0.51, 2, (9, 50, 3))
    for local, expected in ((inside, np.arange(9)), (outside, np.full(9, -1))):
        away = local * boxes[:, None, 3:6]
        cosine, sine = np.cos(boxes[:, 6:]), np.sin(boxes[:, 6:])
        turned = np.stack([cosine * away[..., 0] - sine * away[..., 1], sine * away[..., 0] + cosine * away[..., 1],
                           away[..., 2]], -1)  # fmt: skip
        found = points_in_boxes((turned + boxes[:, None, :3]).reshape(-1, 3), boxes)
        assert np.array_equal(found.reshape(9, 50), np.repeat(expected[:, None], 50, 1))
    both = np.array([[0, 0, 0, 4, 4, 4, 0], [1, 0, 0, 4, 4, 4, 0]])
    assert points_in_boxes(np.array([[0.9, 0, 0], [0.1, 0, 0]]), both).tolist() == [1, 0]
    assert points_in_boxes(np.zeros((3, 3)), np.zeros((0, 7))).tolist() == [-1, -1, -1]


def test_real_boxes_hold_points(shared: Path) -> None:
    with np.load(shared / "data" / "lidar" / "lidar_frames.npz") as arrays:
        for frame in ("kitti000000", "kitti000002", "kitti000008"):
            points, boxes = arrays[f"{frame}_points"][:, :3], arrays[f"{frame}_boxes"]
            counts = np.bincount(points_in_boxes(points, boxes) + 1, minlength=len(boxes) + 1)[1:]
            assert (counts >= 10).all(), (frame, counts)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("calib", "P2: 1 2 3\n", "line 1: 3 numbers of P2; expected 12"),
        ("calib", "P2: " + numbers(np.ones(12)) + "\n", "no R0_rect"),
        ("calib", "P2: a\n", "line 1: could not convert"),
        ("label_2", "Car 1 2\n", "line 1: 3 columns"),
        ("label_2", CAR + "\n" + CAR.replace("1.65", "nan") + "\n", "line 2: a number that is not finite"),
        ("label_2", CAR.replace("4.00", "0.00") + "\n", "line 1: a Car of"),
        ("label_2", "Ü", "cannot be read"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    root = folder(tmp_path, np.zeros((4, 4)), [CAR])
    (root / "training" / name / "000007.txt").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=words) as error:
        labelled_sweeps(str(root), SweepsConfig())
    assert f"{name}/000007.txt" in str(error.value)


def test_a_missing_calibration_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path, np.zeros((4, 4)), [CAR])
    (root / "training" / "calib" / "000007.txt").unlink()
    with pytest.raises(UserError, match=r"calib/000007\.txt: no such file"):
        labelled_sweeps(str(root), SweepsConfig())


def test_points_behind_the_camera_are_not_seen(tmp_path: Path) -> None:
    root = folder(tmp_path, np.zeros((1, 4)), [CAR])
    calibration = read_calibration(root / "training" / "calib" / "000007.txt")
    pixel, seen = in_image(np.array([[10.0, 0, 0], [-10, 0, 0], [0, 0, 0]]), calibration, (1242, 375))
    assert seen.tolist() == [True, False, False]
    np.testing.assert_allclose(pixel[0], [621, 187])
