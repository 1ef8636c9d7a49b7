"""Data by a word of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import UserError
from mm3d.data.folder import folder
from mm3d.data.layouts import NoSplit
from mm3d.data.sources import load

POINTS = "0 0 0\n1 0 0\n0 1 0\n"


def tree(root: Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(POINTS)
    return str(root)


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    root = tree(tmp_path, "boat/1.xyz", "car/2.xyz", "train/3.xyz")
    clouds = load(root, "train")
    assert clouds.classes == ("boat", "car", "train")
    assert clouds.labels.tolist() == [0, 1, 2]
    assert folder(root).classes == clouds.classes
    with pytest.raises(NoSplit, match="no split 'test'"):
        load(root, "test")
    with pytest.raises(NoSplit, match="no split 'train'"):
        folder(root, split="train")


def test_folders_that_are_all_splits_are_splits(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/boat/1.xyz", "test/car/2.xyz", ".git/x.xyz", "docs/readme.md")
    assert load(root, "train").names == ("train/boat/1.xyz",)
    assert load(root, "test").classes == ("boat", "car")
    with pytest.raises(NoSplit, match="no split 'val'"):
        load(root, "val")


@pytest.mark.parametrize("split", ["train", "test"])
def test_folders_that_can_be_read_in_two_ways_are_refused(tmp_path: Path, split: str) -> None:
    root = tree(tmp_path, "train/boat/1.xyz", "test/boat/2.xyz", "plane/3.xyz")
    with pytest.raises(UserError, match=r"either train/ is a split.* or train/ and plane/ are both classes") as error:
        load(root, split)
    assert str(error.value).startswith(f"{root}: ")
    assert not isinstance(error.value, NoSplit)  # which would be taken for a validation split that is not there
    with pytest.raises(UserError, match="both classes"):
        folder(root)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for split in ("train", "val"):
        with pytest.raises(UserError, match="nowhere: no such folder") as error:
            load(f"folder:{tmp_path / 'nowhere'}", split)
        assert not isinstance(error.value, NoSplit)


def test_furniture_has_no_path() -> None:
    with pytest.raises(UserError, match="'furniture:x': furniture comes with the package and has no path"):
        load("furniture:x", "train")


@pytest.mark.parametrize("word", ["modelnet40", "modelnet40:", "arrays:"])
def test_a_layout_without_a_path(word: str) -> None:
    with pytest.raises(UserError, match=rf"data '{word}': where is it\? Write {word.rstrip(':')}:path/to/it"):
        load(word, "train")
