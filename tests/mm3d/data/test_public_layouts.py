"""Each public data set on a tiny tree in its own format."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from core.errors import UserError
from mm3d.data.modelnet40 import modelnet10, modelnet40
from mm3d.data.scanobjectnn import CLASSES, scanobjectnn
from mm3d.data.shapenet55 import SYNSETS, shapenet55
from mm3d.data.shapenetpart import FOLDER, PARTS, shapenetpart

generator = np.random.default_rng(0)
SQUARE = "4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n"


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def rows(columns: int, count: int = 20, last: list[int] | None = None) -> tuple[np.ndarray, str]:
    table = generator.normal(size=(count, columns)).round(6)
    if last is not None:
        table[:, -1] = [last[i % len(last)] for i in range(count)]
    return table, "\n".join(",".join(f"{v:.6f}" for v in row) for row in table) + "\n"


# --- ModelNet ---------------------------------------------------------------------------------------------


def modelnet_text(root: Path) -> dict[str, np.ndarray]:
    base, written = root / "modelnet40_normal_resampled", {}
    for name in ("airplane_0001", "night_stand_0001", "night_stand_0002"):
        written[name], text = rows(6)
        write(base / name.rsplit("_", 1)[0] / f"{name}.txt", text)
    write(base / "modelnet40_shape_names.txt", "airplane\nbathtub\nnight_stand\n")
    write(base / "modelnet40_train.txt", "airplane_0001\r\nnight_stand_0001\r\n\r\n")
    write(base / "modelnet40_test.txt", "night_stand_0002\n")
    write(base / "modelnet10_shape_names.txt", "bathtub\nnight_stand\n")
    write(base / "modelnet10_train.txt", "night_stand_0001\n")
    return written


def test_modelnet_text_form(tmp_path: Path) -> None:
    written = modelnet_text(tmp_path)
    for root in (tmp_path, tmp_path / "modelnet40_normal_resampled"):
        train, test = modelnet40(root, "train"), modelnet40(root, "test")
        assert train.classes == ("airplane", "bathtub", "night_stand")
        assert train.labels.tolist() == [0, 2]
        assert test.labels.tolist() == [2]
        assert train.names == ("airplane/airplane_0001.txt", "night_stand/night_stand_0001.txt")
        np.testing.assert_allclose(train.cloud(1), written["night_stand_0001"][:, :3], atol=1e-6)
    ten = modelnet10(tmp_path, "train")
    assert ten.classes == ("bathtub", "night_stand")
    assert ten.labels.tolist() == [1]


def test_modelnet_text_form_incomplete(tmp_path: Path) -> None:
    modelnet_text(tmp_path)
    base = tmp_path / "modelnet40_normal_resampled"
    with pytest.raises(UserError, match=r"modelnet10_test.txt: no such file"):
        modelnet10(tmp_path, "test")
    (base / "airplane" / "airplane_0001.txt").write_text("0,0\n")
    with pytest.raises(UserError, match=r"airplane_0001.txt: 2 columns"):
        modelnet40(tmp_path, "train")
    clouds = modelnet40(tmp_path, "train", on_error="skip")
    assert clouds.labels.tolist() == [2]
    assert clouds.skipped[0][0] == "airplane/airplane_0001.txt"
    write(base / "modelnet40_train.txt", "spoon_0001\n")
    with pytest.raises(UserError, match=r"class 'spoon' is not in modelnet40_shape_names\.txt"):
        modelnet40(tmp_path, "train")
    with pytest.raises(UserError, match="no split 'val'; expected train, test"):
        modelnet40(tmp_path, "val")


def modelnet_h5(base: Path, label: int = 1) -> np.ndarray:
    base.mkdir(parents=True)
    data = generator.normal(size=(5, 64, 3)).astype(np.float32)
    for split, index, part in [
        ("train", 0, slice(0, 2)),
        ("train", 1, slice(2, 4)),
        ("test", 0, slice(4, 5)),
    ]:
        with h5py.File(base / f"ply_data_{split}{index}.h5", "w") as file:
            file["data"] = data[part]
            file["label"] = np.full((len(data[part]), 1), label, np.uint8)
    write(base / "shape_names.txt", "airplane\nbathtub\n")
    return data


def test_modelnet_hdf5_form(tmp_path: Path) -> None:
    data = modelnet_h5(tmp_path / "modelnet40_ply_hdf5_2048")
    clouds = modelnet40(tmp_path, "train")
    assert np.array_equal(np.stack([clouds.cloud(i) for i in range(4)]), data[:4])
    assert clouds.labels.tolist() == [1] * 4
    assert clouds.names[2] == "ply_data_train1.h5/0"
    assert len(modelnet40(tmp_path / "modelnet40_ply_hdf5_2048", "test")) == 1
    with pytest.raises(UserError, match="does not look like modelnet10"):
        modelnet10(tmp_path, "train")


def test_modelnet_hdf5_damaged(tmp_path: Path) -> None:
    modelnet_h5(tmp_path / "a", label=2)
    with pytest.raises(UserError, match=r"ply_data_train0.h5/0: label 2 is outside the 2 classes"):
        modelnet40(tmp_path / "a", "train")
    modelnet_h5(tmp_path / "b")
    path = tmp_path / "b" / "ply_data_train1.h5"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"ply_data_train1.h5: not a readable HDF5 file"):
        modelnet40(tmp_path / "b", "train")
    with h5py.File(path, "w") as file:
        file["points"] = np.zeros((1, 3))
    with pytest.raises(UserError, match=r"no array 'data'; it has points"):
        modelnet40(tmp_path / "b", "train")
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = np.zeros((1, 64, 3)), np.zeros(1, int)
    with pytest.raises(UserError, match=r"ply_data_train1.h5/0: all 64 points are equal"):
        modelnet40(tmp_path / "b", "train")
    assert len(modelnet40(tmp_path / "b", "train", on_error="skip")) == 2


@pytest.mark.parametrize("name", ["ModelNet40", "ModelNet10"])
def test_modelnet_meshes(tmp_path: Path, name: str) -> None:
    write(tmp_path / name / "chair/train/chair_0001.off", "OFF\n" + SQUARE)
    write(tmp_path / name / "chair/test/chair_0002.off", "OFF" + SQUARE)
    write(tmp_path / name / "bed/train/bed_0001.off", "OFF\n" + SQUARE)
    load = modelnet40 if name == "ModelNet40" else modelnet10
    train, test = load(tmp_path, "train", num_points=100), load(tmp_path / name, "test", num_points=100)
    assert train.classes == test.classes == ("bed", "chair")
    assert train.labels.tolist() == [0, 1]
    assert test.labels.tolist() == [1]
    assert train.sizes.tolist() == [100, 100]


def test_nothing_like_modelnet(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not look like modelnet40; expected modelnet40_shape_names.txt or"):
        modelnet40(tmp_path, "train")
    with pytest.raises(UserError, match="no such folder"):
        modelnet40(tmp_path / "no", "train")


# --- ScanObjectNN -----------------------------------------------------------------------------------------


def test_scanobjectnn(tmp_path: Path) -> None:
    data = {}
    for variant, folder, end in [
        ("obj_bg", "main_split", "objectdataset"),
        ("obj_only", "main_split_nobg", "objectdataset"),
        ("pb_t50_rs", "main_split", "objectdataset_augmentedrot_scale75"),
    ]:
        for split, name in [("train", "training"), ("test", "test")]:
            path = tmp_path / "h5_files" / folder / f"{name}_{end}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            data[variant, split] = generator.normal(2, 3, size=(3, 32, 3)).astype(np.float32)
            with h5py.File(path, "w") as file:
                file["data"], file["label"] = data[variant, split], np.array([0, 14, 7], np.int32)
                file["mask"] = np.zeros((3, 32), np.int32)
    for (variant, split), expected in data.items():
        for root in (tmp_path, tmp_path / "h5_files"):
            clouds = scanobjectnn(root, split, variant)
            assert np.array_equal(np.stack([clouds.cloud(i) for i in range(3)]), expected)  # not normalised
            assert [clouds.classes[i] for i in clouds.labels] == ["bag", "toilet", "door"]
    assert len(CLASSES) == len(set(CLASSES)) == 15
    with pytest.raises(UserError, match="no variant 'hardest'; expected obj_bg, obj_only, pb_t50_rs"):
        scanobjectnn(tmp_path, "train", "hardest")
    (tmp_path / "h5_files/main_split/test_objectdataset.h5").unlink()
    with pytest.raises(UserError, match=r"test_objectdataset.h5: no such file"):
        scanobjectnn(tmp_path, "test", "obj_bg")


# --- ShapeNet55 -------------------------------------------------------------------------------------------


def test_shapenet55(tmp_path: Path) -> None:
    names = [
        "02691156-1a04e3eab45ca15dd86060f189eb133.npy",
        "04554684-a.npy",
        "02691156-b.npy",
        "03001627-c.npy",
    ]
    (tmp_path / "shapenet_pc").mkdir()
    clouds = {name: generator.normal(size=(40 + i, 3)).astype(np.float32) for i, name in enumerate(names)}
    for name, cloud in clouds.items():
        np.save(tmp_path / "shapenet_pc" / name, cloud)
    write(tmp_path / "ShapeNet-55/train.txt", "\n".join(names[:3]) + "\n")
    write(tmp_path / "ShapeNet-55/test.txt", names[3])
    train = shapenet55(tmp_path, "train")
    assert [train.classes[i] for i in train.labels] == ["airplane", "washer", "airplane"]
    assert train.names == tuple(names[:3])
    for i, name in enumerate(names[:3]):
        assert np.array_equal(train.cloud(i), clouds[name])
    assert len(SYNSETS) == len(set(SYNSETS.values())) == len(train.classes) == 55
    assert shapenet55(tmp_path, "all").names == tuple(names)
    bad = tmp_path / "shapenet_pc" / names[0]
    bad.write_bytes(bad.read_bytes()[:-9])
    (tmp_path / "shapenet_pc" / names[2]).unlink()
    with pytest.raises(UserError, match=names[0]):
        shapenet55(tmp_path, "train")
    rest = shapenet55(tmp_path, "train", on_error="skip")
    assert rest.names == (names[1],)
    assert np.array_equal(rest.cloud(0), clouds[names[1]])
    assert [name for name, _ in rest.skipped] == [names[0], names[2]]
    write(tmp_path / "ShapeNet-55/test.txt", "99999999-c.npy")
    with pytest.raises(UserError, match="synset '99999999' is not one of the 55"):
        shapenet55(tmp_path, "test")


# --- ShapeNetPart -----------------------------------------------------------------------------------------


def test_shapenetpart(tmp_path: Path) -> None:
    base = tmp_path / FOLDER
    write(base / "synsetoffset2category.txt", "Airplane\t02691156\nMug\t03797390\n")
    parts = {"02691156/a": [0, 3], "03797390/b": [36, 37], "03797390/c": [37], "02691156/d": [1, 2]}
    tables = {}
    for shape, allowed in parts.items():
        tables[shape], text = rows(7, 30, allowed)
        write(base / f"{shape}.txt", text.replace(",", " "))
    for split, shapes in [
        ("train", ["02691156/a", "03797390/b"]),
        ("val", ["03797390/c"]),
        ("test", ["02691156/d"]),
    ]:
        listing = json.dumps([f"shape_data/{s}" for s in shapes])
        write(base / "train_test_split" / f"shuffled_{split}_file_list.json", listing)
    train = shapenetpart(tmp_path, "train")
    assert [train.classes[i] for i in train.labels] == ["Airplane", "Mug"]
    for i, shape in enumerate(["02691156/a", "03797390/b"]):
        np.testing.assert_allclose(train.cloud(i), tables[shape][:, :3], atol=1e-6)
        assert train.parts_of(i).tolist() == tables[shape][:, 6].tolist()
    far = tables["02691156/d"].copy()
    far[:, :3] += [500000, 4649776, 30]
    write(base / "02691156/d.txt", "\n".join(" ".join(f"{v:.6f}" for v in row) for row in far))
    moved, near = shapenetpart(base, "test").cloud(0), tables["02691156/d"][:, :3]
    np.testing.assert_allclose(moved - moved[0], near - near[0], atol=2e-6)
    assert len(shapenetpart(base, "trainval")) == 3
    assert len(shapenetpart(base, "val")) == len(shapenetpart(base, "test")) == 1
    assert sorted(p for ids in PARTS.values() for p in ids) == list(range(50))
    assert list(PARTS) == sorted(PARTS)
    assert len(train.classes) == len(train.parts_of_class) == 16
    assert len(train.part_names) == 50
    assert train.part_names[37] == "Mug 1"
    write(base / "02691156/d.txt", rows(7, 5, [0, 36])[1].replace(",", " "))
    with pytest.raises(UserError, match=r"d.txt: part label 36 is not one of Airplane; expected \[0, 1, 2, 3\]"):
        shapenetpart(tmp_path, "test")
    write(base / "02691156/d.txt", "1 2 3\n")
    with pytest.raises(UserError, match=r"d.txt: 3 columns; expected x y z nx ny nz part"):
        shapenetpart(tmp_path, "test")
    write(base / "train_test_split/shuffled_test_file_list.json", "[1, 2")
    with pytest.raises(UserError, match="not valid JSON"):
        shapenetpart(tmp_path, "test")
    write(base / "train_test_split/shuffled_test_file_list.json", '["shape_data/000/x"]')
    with pytest.raises(UserError, match="synset '000' is not in"):
        shapenetpart(tmp_path, "test")
