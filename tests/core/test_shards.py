"""Weights in folders and in several files, as Hugging Face's libraries write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.errors import UserError
from core.saving import load_foreign, save_tensors

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "b.weight": torch.ones(2), "c.bias": torch.zeros(4)}
FILES = {"a.weight": "model-00001-of-00002", "b.weight": "model-00002-of-00002", "c.bias": "model-00001-of-00002"}


def write(weights: dict[str, Tensor], path: Path) -> None:
    if path.suffix == ".safetensors":
        save_tensors(weights, path)
    else:
        torch.save(weights, path)


def sharded(folder: Path, suffix: str = ".safetensors") -> Path:
    """A folder with two files of weights and their index."""
    folder.mkdir()
    places = {name: file + suffix for name, file in FILES.items()}
    for file in set(places.values()):
        write({name: WEIGHTS[name] for name, place in places.items() if place == file}, folder / file)
    stem = "model.safetensors" if suffix == ".safetensors" else "pytorch_model.bin"
    index = folder / f"{stem}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 48}, "weight_map": places}))
    return index


def same(found: dict[str, Any]) -> bool:
    return found.keys() == WEIGHTS.keys() and all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_all_files_of_an_index_or_of_its_folder(tmp_path: Path, suffix: str) -> None:
    index = sharded(tmp_path / "hub", suffix)
    assert same(load_foreign(index))
    assert same(load_foreign(tmp_path / "hub"))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_the_one_file_of_a_folder(tmp_path: Path, name: str) -> None:
    write(WEIGHTS, tmp_path / name)
    (tmp_path / "config.json").write_text("{}")
    assert same(load_foreign(tmp_path))


def test_safetensors_before_pickles(tmp_path: Path) -> None:
    write(WEIGHTS, tmp_path / "model.safetensors")
    (tmp_path / "pytorch_model.bin").write_text("anything")
    assert same(load_foreign(tmp_path))


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_foreign(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path.parent if path.is_file() else path))
    return str(caught.value)


def test_files_that_are_missing_or_not_whole(tmp_path: Path) -> None:
    index = sharded(tmp_path / "hub")
    second = tmp_path / "hub" / "model-00002-of-00002.safetensors"
    second.unlink()
    assert "1 of 2 files with its weights are missing (model-00002-of-00002.safetensors)" in refused(index)
    assert "1 of 2 files" in refused(tmp_path / "hub")
    second.write_bytes(b"cut")
    assert "model-00002-of-00002.safetensors: truncated or not a safetensors file" in refused(index)
    write({"x": torch.ones(1)}, second)
    assert "model-00002-of-00002.safetensors: b.weight is not in it" in refused(index)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no index of weights"),
        ("[]", "no index of weights"),
        ("{}", "no index of weights"),
        ('{"weight_map": {}}', "weight_map is not names of tensors and of files"),
        ('{"weight_map": {"a": 3}}', "weight_map is not names"),
        ('{"weight_map": {"a": "../secret.safetensors"}}', "'../secret.safetensors' is no file with weights beside it"),
        ('{"weight_map": {"a": "/secret.safetensors"}}', "is no file with weights beside it"),
        ('{"weight_map": {"a": "model.safetensors.index.json"}}', "is no file with weights beside it"),
        ('{"weight_map": {"a": ""}}', "files with its weights are missing"),
    ],
)
def test_what_is_no_index(tmp_path: Path, content: str, said: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(content)
    assert said in refused(index)


def test_folders_without_weights_of_others(tmp_path: Path) -> None:
    assert "a folder without weights to convert; expected one of model.safetensors" in refused(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    assert "a run or saved model of ours" in refused(tmp_path)
    with pytest.raises(UserError, match=r"none\.index\.json: cannot be read"):
        load_foreign(tmp_path / "none.index.json")
