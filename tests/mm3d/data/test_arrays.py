from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from mm3d.data.arrays import point_arrays, surface_points, voxel_grids
from mm3d.data.clouds import validate
from mm3d.data.layouts import NoSplit


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, allow_pickle=False, **{key: np.asarray(value) for key, value in arrays.items()})
    return path


POINTS = np.random.default_rng(0).normal(size=(4, 8, 3)).astype(np.float16)


def test_point_arrays(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.npz", points=POINTS, label=[0, 1, -1, 0], classes=["x", "y"], name=list("abcd"),
        split=[0, 1, 0, 2], other_label=[1, 1, 1, 0], other_classes=["u", "v"],
        seg=np.arange(32).reshape(4, 8) % 5 - 1,
    )  # fmt: skip
    train = point_arrays(path, "train")
    assert train.names == ("a", "c")
    assert train.labels.tolist() == [0, -1]
    assert train.points.dtype == np.float16
    assert np.array_equal(train.cloud(1), POINTS[2])
    assert train.parts_of(0).tolist() == [-1, 0, 1, 2, 3, -1, 0, 1]
    assert train.part_names == ("0", "1", "2", "3")
    assert point_arrays(path, "val").names == ("d",)
    other = point_arrays(path, None, "other_label", "other_classes")
    assert other.labels.tolist() == [1, 1, 1, 0]
    assert other.classes == ("u", "v")


def test_points_alone_are_enough(tmp_path: Path) -> None:
    clouds = point_arrays(save(tmp_path / "a.npz", points=POINTS.astype(np.float64)))
    assert clouds.points.dtype == np.float32
    assert clouds.labels.tolist() == [-1] * 4
    assert len(point_arrays(tmp_path / "a.npz", "train")) == 4
    for split in ("test", "val"):
        with pytest.raises(NoSplit, match=f"no array 'split', so all is train and no '{split}'"):
            point_arrays(tmp_path / "a.npz", split)


def test_classes_without_names_are_numbered(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", points=POINTS, label=[0, 3, -1, 1], split=[0, 1, 0, -1])
    train, test = point_arrays(path, "train"), point_arrays(path, "test")
    assert train.classes == test.classes == ("0", "1", "2", "3")
    assert train.labels.tolist() == [0, -1]
    assert point_arrays(save(path, points=POINTS, label=[-1] * 4)).classes == ()


def test_a_cloud_far_from_the_origin_keeps_its_shape(tmp_path: Path) -> None:
    near = np.random.default_rng(0).random((2, 50, 3)) * 10
    far = point_arrays(save(tmp_path / "a.npz", points=near + np.array([500000, 4649776, 30]))).cloud(1)
    np.testing.assert_allclose(far - far.mean(axis=0), near[1] - near[1].mean(axis=0), atol=1e-5)


def test_bad_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    cases: list[tuple[dict[str, object], str]] = [
        ({"label": [1]}, "no array 'points'"),
        ({"points": POINTS[0]}, r"points are float16 \(8, 3\)"),
        ({"points": POINTS, "label": [0]}, r"label is \(1,\); expected \(4,\)"),
        (
            {"points": POINTS, "label": [0, 1, 2, 0], "classes": ["x", "y"]},
            "label 2 is outside the 2 classes",
        ),
        ({"points": POINTS, "label": [0.0] * 4}, "expected integers"),
        ({"points": POINTS, "seg": np.zeros((4, 7))}, r"seg is \(4, 7\)"),
        ({"points": POINTS, "label": [0, 1, 2691156, 0]}, "label 2691156 without names of classes"),
        ({"points": POINTS, "seg": np.zeros((4, 8))}, "seg is float64; expected integers"),
        (
            {"points": POINTS, "split": [0, 1, 7, 0]},
            "split has the code 7; expected 0 train, 1 test, 2 val, or -1 none",
        ),
    ]
    for arrays, message in cases:
        save(path, **arrays)
        with pytest.raises(UserError, match=message):
            point_arrays(path)
    with pytest.raises(UserError, match="no such file"):
        point_arrays(tmp_path / "no.npz")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"a.npz: not a readable .npz"):
        point_arrays(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="empty"):
        point_arrays(path)


def test_bad_clouds_stop_or_are_skipped(tmp_path: Path) -> None:
    points = POINTS.copy()
    points[1, 2] = np.inf
    points[3] = 1
    path = save(tmp_path / "a.npz", points=points, label=[0, 1, 2, 3], classes=list("wxyz"))
    with pytest.raises(UserError, match=r"a.npz: 1: 1 of 8 points have NaN"):
        point_arrays(path)
    clouds = point_arrays(path, on_error="skip")
    assert clouds.labels.tolist() == [0, 2]
    assert [name for name, _ in clouds.skipped] == ["1", "3"]
    assert "all 8 points are equal" in clouds.skipped[1][1]


def test_surface_of_a_cube() -> None:
    """A 4^3 block: 64 voxels, of which the inner 2^3 are no surface."""
    grid = np.zeros((8, 8, 8), bool)
    grid[2:6, 2:6, 2:6] = True
    points = surface_points(grid, 5600, np.random.default_rng(0))
    voxels, counts = np.unique(np.floor(points).astype(int), axis=0, return_counts=True)
    assert len(voxels) == 56
    assert (counts == 100).all()
    assert not ((voxels >= 3) & (voxels <= 4)).all(axis=1).any()
    inside = points - np.floor(points)
    np.testing.assert_allclose(inside.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(inside.var(axis=0), 1 / 12, atol=0.005)
    few = np.floor(surface_points(grid, 50, np.random.default_rng(1)))
    assert len(np.unique(few, axis=0)) == 50  # without replacement where it goes


def test_outside_counts_as_empty() -> None:
    full = np.ones((3, 3, 3), bool)
    voxels = np.unique(np.floor(surface_points(full, 260, np.random.default_rng(0))), axis=0)
    assert len(voxels) == 26
    assert [1, 1, 1] not in voxels.tolist()
    with pytest.raises(ValueError, match="empty"):
        surface_points(np.zeros((3, 3, 3), bool), 5, np.random.default_rng(0))


def test_voxel_grids(tmp_path: Path) -> None:
    grids = np.zeros((4, 8, 8, 8), np.int32)
    grids[0, 2:6, 2:6, 2:6] = 1
    grids[2, 0, 0, :5] = 1
    grids[3, :, :, 0] = 1
    path = save(tmp_path / "v.npz", X_train=grids, y_train=[0, 1, 1, 2], X_test=grids[:1], y_test=[0])
    with pytest.raises(UserError, match=r"v.npz: train/1: 0 occupied voxels; expected at least 64"):
        voxel_grids(path, "train")
    clouds = voxel_grids(path, "train", 200, on_error="skip")
    assert clouds.names == ("train/0", "train/3")
    assert clouds.labels.tolist() == [0, 2]
    assert clouds.classes == ("0", "1", "2")
    assert [name for name, _ in clouds.skipped] == ["train/1", "train/2"]
    assert clouds.sizes.tolist() == [200, 200]
    assert np.abs(clouds.cloud(0)).max() <= 2  # centred on the grid
    assert len(voxel_grids(path, "train", 200, on_error="skip", minimum=5)) == 3
    alone = save(tmp_path / "w.npz", X_train=grids[:1], y_train=[0])
    assert np.array_equal(voxel_grids(alone, "train", 200).cloud(0), clouds.cloud(0))
    assert not np.array_equal(voxel_grids(alone, "train", 200, seed=1).cloud(0), clouds.cloud(0))
    assert voxel_grids(path, "test").classes == clouds.classes  # though the test split has class 0 only
    assert voxel_grids(path, "test", classes=("a", "b")).classes == ("a", "b")
    with pytest.raises(UserError, match="no array 'X_test'"):
        voxel_grids(alone, "test")
    with pytest.raises(UserError, match="label 2 is outside the 2 classes"):
        voxel_grids(path, "train", on_error="skip", classes=("a", "b"))


REAL = {  # file: (train, test, classes), as the data's own page says
    "shapedb69_2048.npz": (1977, 493, 69),
    "rna_2048.npz": (547, 136, 0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_point_arrays(shared: Path, name: str) -> None:
    train, test, classes = REAL[name]
    path = shared / "data" / "shapes" / name
    for split, count in [("train", train), ("test", test)]:
        clouds = validate(point_arrays(path, split))
        assert len(clouds) == count
        assert len(clouds.classes) == classes
        assert (clouds.sizes == 2048).all()
        assert (clouds.parts is not None) == (name == "rna_2048.npz")


def test_real_furniture_array(shared: Path) -> None:
    path = shared / "data" / "shapes" / "furniture_2048.npz"
    rooms, shapes = point_arrays(path), point_arrays(path, None, "shape_label", "shape_classes")
    assert len(rooms) == len(shapes) == 820
    assert (len(rooms.classes), len(shapes.classes)) == (12, 14)
    assert (shapes.labels >= 0).sum() == 447
    assert rooms.points.dtype == np.float16


def test_real_voxels(shared: Path) -> None:
    path = shared / "data" / "shapes" / "modelnet10_voxel32.npz"
    with pytest.raises(UserError, match="occupied voxels; expected at least 64"):
        voxel_grids(path, "test", 256)
    test = voxel_grids(path, "test", 256, on_error="skip")
    train = voxel_grids(path, "train", 64, on_error="skip")
    assert len(test) + len(test.skipped) == 908
    assert len(train) + len(train.skipped) == 3991
    assert len(train.skipped) + len(test.skipped) == 112
    assert sum(": 0 occupied voxels" in reason for _, reason in train.skipped + test.skipped) == 34
    assert len(test.classes) == 10
    assert sorted(set(test.labels.tolist())) == list(range(10))
    assert all("occupied voxels" in reason for _, reason in test.skipped)
