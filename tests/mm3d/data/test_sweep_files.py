"""Sweeps of every format, and what is wrong with those that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from mm3d.config.voxels import GridConfig, SweepsConfig
from mm3d.data.labelled_sweeps import labelled_sweeps
from mm3d.data.semantic_kitti import benchmark_classes
from mm3d.data.street import CLASSES, SENSOR_HEIGHT, Scene, cast, street_sweep
from mm3d.data.sweep_files import read_labels, read_sweep
from mm3d.data.sweeps import find_sweeps, usable

GRID = GridConfig((-10.0, -10.0, -3.0), (10.0, 10.0, 5.0), (0.5, 0.5, 0.2))


def points(count: int = 300, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return np.concatenate([draws.uniform(-9, 9, (count, 2)), draws.uniform(-2, 2, (count, 1)), draws.random((count, 1))],
                          axis=1).astype(np.float32)  # fmt: skip


def kitti(root: Path, count: int = 3) -> Path:
    """A folder as KITTI and SemanticKITTI have it."""
    for name in ("velodyne", "velodyne_reduced", "labels"):
        (root / name).mkdir(parents=True)
    for number in range(count):
        sweep = points(seed=number)
        sweep.tofile(root / "velodyne" / f"{number:06d}.bin")
        sweep[:9].tofile(root / "velodyne_reduced" / f"{number:06d}.bin")
        raw = np.where(sweep[:, 0] > 0, 252 + (7 << 16), 40).astype("<u4")
        raw.tofile(root / "labels" / f"{number:06d}.label")
    return root


def test_bin_files_of_four_and_five_columns(tmp_path: Path) -> None:
    four = points()
    four.tofile(tmp_path / "a.bin")
    assert np.array_equal(read_sweep(tmp_path / "a.bin"), four)
    five = np.concatenate([four[:, :3], 255 * four[:, 3:], np.full((300, 1), 31, np.float32)], axis=1)
    five.astype(np.float32).tofile(tmp_path / "b.pcd.bin")
    np.testing.assert_allclose(read_sweep(tmp_path / "b.pcd.bin"), four, rtol=1e-6)
    (tmp_path / "b.pcd.bin").rename(tmp_path / "c.bin")
    np.testing.assert_allclose(read_sweep(tmp_path / "c.bin", columns=5), four, rtol=1e-6)


def test_other_formats_have_no_intensity(tmp_path: Path) -> None:
    xyz = points(5)[:, :3]
    header = "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 5\nHEIGHT 1\n"
    rows = "\n".join(" ".join(f"{v:.6f}" for v in row) for row in xyz)
    (tmp_path / "a.pcd").write_text(f"{header}POINTS 5\nDATA ascii\n{rows}\n")
    ply = "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    (tmp_path / "b.ply").write_text(ply + rows + "\n")
    np.save(tmp_path / "c.npy", xyz)
    for name in ("a.pcd", "b.ply", "c.npy"):
        sweep = read_sweep(tmp_path / name)
        np.testing.assert_allclose(sweep, np.c_[xyz, np.zeros(5)], atol=1e-5)
    np.save(tmp_path / "d.npy", points(5))
    assert np.array_equal(read_sweep(tmp_path / "d.npy"), points(5))


def test_points_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    some = points()
    some[3, 1], some[4, 3] = np.nan, np.inf
    some.tofile(tmp_path / "a.bin")
    assert np.array_equal(read_sweep(tmp_path / "a.bin"), np.delete(some, [3, 4], axis=0))


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.bin", b"", "the file is empty"),
    ("a.bin", b"0" * 4807, "4807 bytes are no whole number of points of 4 float32 values; truncated"),
    ("a.pcd.bin", b"0" * 4816, "4816 bytes are no whole number of points of 5"),
    ("a.bin", np.full((3, 4), np.nan, np.float32).tobytes(), "all values are NaN or infinite"),
    ("a.laz", b"LASF", "not a sweep; expected .bin"),
    ("a.pcd", b"hello", "no PCD header"),
    ("a.npy", b"hello", "a.npy"),
])  # fmt: skip
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_sweep(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)
    assert said in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.bin: no such file"):
        read_sweep(tmp_path / "x.bin")


def test_folders_are_searched_as_their_layouts_are(tmp_path: Path) -> None:
    found = find_sweeps(str(kitti(tmp_path / "kitti")), SweepsConfig())
    assert [Path(name).name for name in found.names] == ["000000.bin", "000001.bin", "000002.bin"]
    assert all(Path(name).parent.name == "velodyne" for name in found.names)
    top = tmp_path / "nuscenes" / "sweeps" / "LIDAR_TOP"
    top.mkdir(parents=True)
    np.zeros((9, 5), np.float32).tofile(top / "n.pcd.bin")
    np.zeros((9, 5), np.float32).tofile(tmp_path / "nuscenes" / "map.bin")
    assert find_sweeps(str(tmp_path / "nuscenes"), SweepsConfig()).names == (str(top / "n.pcd.bin"),)
    both = find_sweeps(f"{tmp_path / 'kitti'}, {top / 'n.pcd.bin'}", SweepsConfig())
    assert len(both) == 4
    with pytest.raises(UserError, match="no such file or folder"):
        find_sweeps("streets", SweepsConfig())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no sweeps in this folder"):
        find_sweeps(str(tmp_path / "empty"), SweepsConfig())
    with pytest.raises(UserError, match="nothing given"):
        find_sweeps(" , ", SweepsConfig())


def test_arrays_of_an_npz_are_sweeps(tmp_path: Path) -> None:
    five = np.concatenate([points()[:, :3], 255 * points()[:, 3:], points()[:, :1]], axis=1)
    np.savez(tmp_path / "a.npz", one_points=points(), two_points=five, one_boxes=np.zeros((1, 7)))
    found = find_sweeps(str(tmp_path / "a.npz"), SweepsConfig())
    assert [name.split(": ")[1] for name in found.names] == ["one_points", "two_points"]
    np.testing.assert_allclose(found.points(1).numpy(), points(), rtol=1e-5)
    np.savez(tmp_path / "b.npz", x=points())
    with pytest.raises(UserError, match="holds no sweeps"):
        find_sweeps(str(tmp_path / "b.npz"), SweepsConfig())
    (tmp_path / "c.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="not readable as an npz"):
        find_sweeps(str(tmp_path / "c.npz"), SweepsConfig())


def test_sweeps_that_cannot_be_used_stop_or_are_counted(tmp_path: Path) -> None:
    root = kitti(tmp_path)
    (points()[:, :] * np.float32([1, 1, 1, 1]) + np.float32([500, 0, 0, 0])).tofile(root / "velodyne" / "far.bin")
    (root / "velodyne" / "cut.bin").write_bytes(b"0" * 50)
    found = find_sweeps(str(root), SweepsConfig())
    with pytest.raises(UserError, match=r"cut\.bin: 50 bytes"):
        usable(found, SweepsConfig(minimum=50), GRID)
    left = usable(found, SweepsConfig(minimum=50, on_error="skip"), GRID)
    assert len(left) == 3
    assert [Path(name).name for name, _ in left.skipped] == ["cut.bin", "far.bin"]
    assert "0 voxels in the range" in left.skipped[1][1]
    again = usable(find_sweeps(str(root), SweepsConfig()), SweepsConfig(minimum=50, on_error="skip"), GRID)
    assert again.fingerprint == left.fingerprint != ""
    with pytest.raises(UserError, match="none of 5"):
        usable(found, SweepsConfig(minimum=9999, on_error="skip"), GRID)


def test_labels_are_those_of_the_benchmark(tmp_path: Path) -> None:
    sweeps, names = labelled_sweeps(str(kitti(tmp_path)), SweepsConfig())
    assert len(sweeps) == 3
    for sweep in sweeps:
        assert {names[i] for i in np.unique(sweep.labels)} == {"car", "road"}
        assert np.array_equal(sweep.labels == names.index("car"), sweep.points[:, 0] > 0)
    assert benchmark_classes(np.array([0, 1, 52, 99, 259])).tolist() == [-1, -1, -1, -1, 4]
    label = tmp_path / "labels" / "000000.label"
    with pytest.raises(UserError, match=r"000000\.label: 1200 bytes; expected 4 for each of 7 points"):
        read_labels(label, 7)
    with pytest.raises(UserError, match="cannot be read"):
        read_labels(tmp_path / "none.label", 7)
    (tmp_path / "other" / "velodyne").mkdir(parents=True)
    points().tofile(tmp_path / "other" / "velodyne" / "a.bin")
    with pytest.raises(UserError, match="no labelled sweeps"):
        labelled_sweeps(str(tmp_path / "other"), SweepsConfig())
    with pytest.raises(UserError, match="no such folder"):
        labelled_sweeps("nowhere", SweepsConfig())


def test_real_frames_are_read(shared: Path) -> None:
    frames = shared / "data" / "lidar" / "lidar_frames.npz"
    found = find_sweeps(str(frames), SweepsConfig())
    assert len(found) == 6
    sizes = [len(found.points(i)) for i in range(6)]
    assert sizes == [115384, 120268, 126891, 17238, 34688, 124668]
    assert all(float(found.points(i)[:, 3].max()) <= 1 for i in range(6))
    sweeps, names = labelled_sweeps(str(frames), SweepsConfig())
    assert len(sweeps) == 1
    assert {names[i] for i in np.unique(sweeps[0].labels) if i >= 0} >= {"car", "road", "building", "vegetation"}


def test_generated_streets_are_functions_of_their_seed() -> None:
    made, kinds = street_sweep(3)
    again, _ = street_sweep.__wrapped__(3)
    other, _ = street_sweep(4)
    assert np.array_equal(made, again)
    assert made.shape != other.shape or not np.array_equal(made, other)
    assert made.dtype == np.float32
    assert len(made) == len(kinds) > 20_000
    assert {CLASSES[k] for k in np.unique(kinds)} >= {"ground", "building", "car"}
    assert np.linalg.norm(made[:, :3], axis=1).max() < 80.2
    ground = made[kinds == CLASSES.index("ground")]
    assert abs(float(ground[:, 2].mean()) + SENSOR_HEIGHT) < 0.02


def test_rays_stop_at_the_first_thing() -> None:
    """A wall before a sphere before nothing; closed forms."""
    scene = Scene(np.array([[5.0, -1, -1]]), np.array([[6.0, 1, 1]]), np.array([1]), np.array([[0.0, 10, 0, 2]]))
    rays = np.array([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0.6, 0, -0.8], [0.9950371902, 0.0995037190, 0]])
    distance, kind = cast(scene, rays)
    np.testing.assert_allclose(distance, [5, 8, np.inf, SENSOR_HEIGHT / 0.8, 5 / 0.9950371902], rtol=1e-6)
    assert kind[[0, 1, 3, 4]].tolist() == [1, CLASSES.index("crown"), 0, 1]
