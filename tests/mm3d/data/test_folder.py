from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from mm3d.data.folder import folder

TRIANGLE = "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
POINTS = "0 0 0\n1 0 0\n0 1 0\n"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_class_is_the_first_folder(tmp_path: Path) -> None:
    root = tree(tmp_path, {
        "table/b.off": TRIANGLE, "chair/deep/er/a.XYZ": POINTS, "loose.txt": POINTS, "chair/z.npz.bak": "x",
        ".hidden/a.xyz": "x", "chair/.DS_Store": "x", "chair/a.mtl": "x",
    })  # fmt: skip
    clouds = folder(root, num_points=50)
    assert clouds.classes == ("chair", "table")
    assert clouds.names == ("chair/deep/er/a.XYZ", "loose.txt", "table/b.off")
    assert clouds.labels.tolist() == [0, -1, 1]
    assert clouds.sizes.tolist() == [3, 3, 50]
    assert clouds.skipped == ()


def test_bad_files_stop_or_are_skipped(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a/1.xyz": POINTS, "a/2.xyz": "0 0 nan\n1 1 1", "b/3.ply": "", "b/4.off": TRIANGLE})
    with pytest.raises(UserError, match=r"a/2.xyz: 1 of 2 points have NaN"):
        folder(root)
    clouds = folder(root, on_error="skip")
    assert clouds.names == ("a/1.xyz", "b/4.off")
    assert clouds.labels.tolist() == [0, 1]
    assert [name for name, _ in clouds.skipped] == ["a/2.xyz", "b/3.ply"]
    assert "NaN" in clouds.skipped[0][1]
    assert "empty" in clouds.skipped[1][1]
    assert folder(root, on_error="skip").skipped == clouds.skipped  # from the cache too
    with pytest.raises(UserError, match=r"a/1.xyz: 3 points; expected at least 4"):
        folder(root, minimum=4)


def test_splits_share_their_classes(tmp_path: Path) -> None:
    root = tree(tmp_path, {
        "train/chair/1.xyz": POINTS, "train/table/2.xyz": POINTS, "test/bed/3.xyz": POINTS,
        "test/table/4.xyz": POINTS,
    })  # fmt: skip
    train, test, both = folder(root, split="train"), folder(root, split="test"), folder(root)
    assert train.classes == test.classes == both.classes == ("bed", "chair", "table")
    assert train.labels.tolist() == [1, 2]
    assert test.names == ("test/bed/3.xyz", "test/table/4.xyz")
    assert len(both) == 4
    with pytest.raises(UserError, match="no split 'val'"):
        folder(root, split="val")
    with pytest.raises(UserError, match="no split 'chair'"):
        folder(tree(tmp_path / "plain", {"chair/1.xyz": POINTS}), split="chair")


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    assert folder(tree(tmp_path, {"test/1.xyz": POINTS, "chair/2.xyz": POINTS})).classes == ("chair", "test")


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        folder(tmp_path / "no")
    with pytest.raises(UserError, match=r"no point files; expected some of \.ply"):
        folder(tree(tmp_path, {"a/readme.md": "x"}))
    with pytest.raises(UserError, match=r"none of 1 clouds could be used; the first: .*1\.xyz"):
        folder(tree(tmp_path, {"a/1.xyz": "x"}), on_error="skip")
    with pytest.raises(UserError, match="a file; expected a folder"):
        folder(tmp_path / "a" / "1.xyz")


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a/1.xyz": POINTS})
    before = folder(root)
    (root / "a/1.xyz").write_text(POINTS + "5 5 5\n")
    after = folder(root)
    assert (before.sizes[0], after.sizes[0]) == (3, 4)
    assert np.array_equal(before.cloud(0), after.cloud(0)[:3])
