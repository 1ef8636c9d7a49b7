"""Saving and loading: round trips, and files that must be refused in one line without executing anything."""

from __future__ import annotations

import json
import os
import pickle
import random
import sys
import types
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from core import saving
from core.errors import UserError
from core.saving import Pretrained, load_foreign, load_strictly, load_tensors, save_tensors, state_dict_of
from core.unread import Unread


@dataclass
class Inner:
    width: int = 4
    names: tuple[str, ...] = ("a", "b")


@dataclass
class NetConfig:
    inner: Inner = field(default_factory=Inner)
    layers: int = 1
    bias: float | None = None


class Net(Pretrained, nn.Module):
    Config = NetConfig

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        if config.layers < 1:
            raise ValueError("layers is at least 1")
        self.config = config
        self.layers = nn.ModuleList(nn.Linear(config.inner.width, config.inner.width) for _ in range(config.layers))
        self.norm = nn.BatchNorm1d(config.inner.width)


class Other(Net):
    pass


class Tied(Net):
    def __init__(self, config: NetConfig) -> None:
        super().__init__(config)
        self.again = self.layers[0]
        self.register_buffer("part", self.norm.running_mean[:2])  # type: ignore[index]


def saved(folder: Path, model: Net | None = None) -> Path:
    (model or Net(NetConfig())).save_pretrained(folder)
    return folder


def refused(said: str, **keep: Any) -> Any:
    return pytest.raises(UserError, match=said, **keep)


@pytest.mark.parametrize("kind", [Net, Tied])
def test_round_trip(tmp_path: Path, kind: type[Net]) -> None:
    model = kind(NetConfig(Inner(3, ("x",)), layers=2, bias=0.5))
    saved(tmp_path / "new" / "folder", model)
    again = kind.from_pretrained(tmp_path / "new" / "folder")
    assert again.config == model.config
    assert not again.training
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == ["model.json", "weights.safetensors"]


def test_given_weights_are_written_instead(tmp_path: Path) -> None:
    model = Net(NetConfig())
    model.save_pretrained(tmp_path, {name: torch.full_like(t, 7) for name, t in model.state_dict().items()})
    assert all((t == 7).all() for t in Net.from_pretrained(tmp_path).state_dict().values())


def test_strided_and_sharing_tensors_are_saved_by_value(tmp_path: Path) -> None:
    base = torch.arange(12.0).view(3, 4)
    tensors = {"whole": base, "turned": base.T, "row": base[1], "same": base, "leaf": nn.Parameter(base)}
    save_tensors(tensors, tmp_path / "x.safetensors")
    loaded = load_file(tmp_path / "x.safetensors")
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor), name


def test_missing_and_wrong_folders(tmp_path: Path) -> None:
    with refused("no such folder"):
        Net.from_pretrained(tmp_path / "none")
    with refused("model.json: missing"):
        Net.from_pretrained(tmp_path)
    saved(tmp_path)
    with refused("model.json: holds a Net, expected a Other"):
        Other.from_pretrained(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with refused("weights.safetensors: no such file"):
        Net.from_pretrained(tmp_path)
    (tmp_path / "file").write_text("")
    with refused("cannot be written|could not be written"):
        Net(NetConfig()).save_pretrained(tmp_path / "file")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"model": "Net"}', '{"model": "Net", "config": 3}', "\xff"])
def test_unreadable_descriptions(tmp_path: Path, content: str) -> None:
    saved(tmp_path)
    (tmp_path / "model.json").write_text(content, encoding="latin-1")
    with refused(r"model\.json: not readable as the description of a model"):
        Net.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"layer": 1}, r"model\.json: unknown key 'layer' of NetConfig; did you mean 'layers'"),
        ({"inner": {"widht": 4}}, r"model\.json: inner: unknown key 'widht' of Inner; did you mean 'width'"),
        ({"layers": 0}, r"model\.json: not a configuration of Net .layers is at least 1"),
        ({"layers": "two"}, r"model\.json: "),
        ({"inner": {"width": -1}}, r"model\.json: "),
    ],
)
def test_configurations_that_do_not_fit(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    saved(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"model": "Net", "config": config}))
    with refused(said):
        Net.from_pretrained(tmp_path)


@pytest.mark.parametrize("keep", [0, 3, 8, 100, -1])
def test_truncated_weights(tmp_path: Path, keep: int) -> None:
    saved(tmp_path)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with refused(r"weights\.safetensors: truncated or not a safetensors file"):
        Net.from_pretrained(tmp_path)


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    with refused(r"x: weights of another architecture than Net: 2 missing \(layers.1.weight, layers.1.bias\)"):
        load_strictly(Net(NetConfig(layers=2)), Net(NetConfig()).state_dict(), "x")
    with refused(r"2 unexpected \(layers.1.weight"):
        load_strictly(Net(NetConfig()), Net(NetConfig(layers=2)).state_dict(), "x")
    with refused(r"of another shape \(layers.0.weight is \(3, 3\), the model has \(4, 4\)"):
        load_strictly(Net(NetConfig()), Net(NetConfig(Inner(3))).state_dict(), "x")
    model = Net(NetConfig())
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with pytest.raises(UserError):
        load_strictly(model, {"layers.0.bias": torch.ones(4)}, "x")
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_a_full_disk_keeps_the_old_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Net(NetConfig())
    saved(tmp_path, model)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with refused("could not be written .No space left on device"):
        Net(NetConfig()).save_pretrained(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_foreign_checkpoints(tmp_path: Path) -> None:
    content = {
        "base_model": OrderedDict(w=torch.ones(2)),
        "epoch": 3,
        "metrics": {"acc": 0.5},
        "optimizer": [None],
    }
    for name, legacy in (("new.pth", True), ("old.pth", False)):
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=legacy)
        loaded = load_foreign(tmp_path / name)
        assert torch.equal(loaded["base_model"]["w"], torch.ones(2))
        assert loaded["epoch"] == 3
    save_tensors({"w": torch.ones(2)}, tmp_path / "w.safetensors")
    assert torch.equal(load_foreign(tmp_path / "w.safetensors")["w"], torch.ones(2))


class Attack:
    """Unpickling it would create a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle"])
def test_a_checkpoint_that_would_execute_code_is_refused(tmp_path: Path, how: str) -> None:
    marker, path = tmp_path / "executed", tmp_path / "attack.pth"
    content = {"base_model": {"w": torch.ones(2)}, "metrics": Attack(marker)}
    if how == "pickle":
        path.write_bytes(pickle.dumps({"metrics": Attack(marker)}, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    with refused(r"attack\.pth: holds objects that could execute code, refused") as caught:
        load_foreign(path)
    assert "\n" not in str(caught.value)
    assert not marker.exists()
    if how == "pickle":  # the attack is a real one
        pickle.loads(path.read_bytes())
        assert marker.exists()


def test_random_states_and_callbacks_of_lightning_stay_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As checkpoints of MolFormer's code have them: arrays of numpy, and a class as a key."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    kind = type("ModelCheckpoint", (), {"__module__": name})
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks", name):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    monkeypatch.setattr(sys.modules[name], "ModelCheckpoint", kind, raising=False)
    rng = {"numpy_state": np.random.RandomState(0).get_state(), "python_state": random.getstate()}
    content = {"state_dict": {"w": torch.ones(2)}, "rng": rng, "callbacks": {kind: {"best_model_path": ""}}}
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "x.ckpt", weights_only=True)
    found = load_foreign(tmp_path / "x.ckpt")
    assert torch.equal(found["state_dict"]["w"], torch.ones(2))
    assert list(found["callbacks"]) == [Unread]
    assert type(found["rng"]["numpy_state"][1]) is Unread
    assert vars(found["rng"]["numpy_state"][1]) == {}
    with zipfile.ZipFile(tmp_path / "x.ckpt") as new, zipfile.ZipFile(tmp_path / "old.ckpt", "w") as old:
        for entry in new.namelist():  # numpy 1 called its parts so
            old.writestr(entry, new.read(entry).replace(b"numpy._core", b"numpy.core"))
    assert type(load_foreign(tmp_path / "old.ckpt")["rng"]["numpy_state"][1]) is Unread
    torch.save({"w": np.ones(2)}, tmp_path / "arrays.pth")  # weights are not read so
    with refused("holds no state dict"):
        state_dict_of(load_foreign(tmp_path / "arrays.pth"), "arrays.pth")


def test_an_attack_in_our_own_folder_is_not_even_a_pickle(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    saved(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(pickle.dumps(Attack(marker)))
    with refused("not a safetensors file"):
        Net.from_pretrained(tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.95])
def test_truncated_checkpoints(tmp_path: Path, legacy: bool, share: float) -> None:
    path = tmp_path / "cut.pth"
    torch.save({"w": torch.randn(500), "v": torch.ones(3)}, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with refused(r"cut\.pth: (truncated|not a readable)") as caught:
        load_foreign(path)
    assert "\n" not in str(caught.value)


def test_things_that_are_no_checkpoints(tmp_path: Path) -> None:
    with refused("no such file"):
        load_foreign(tmp_path / "none.pth")
    for name, content in (
        ("text", b"hello, this is text\n"),
        ("png", b"\x89PNG\r\n\x1a\n" + bytes(50)),
        ("zero", bytes(99)),
    ):
        path = tmp_path / f"{name}.pth"
        path.write_bytes(content)
        with refused(rf"{name}\.pth: (truncated or )?not a (readable )?checkpoint"):
            load_foreign(path)
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("a.txt", "a")
    with refused("not a checkpoint"):
        load_foreign(tmp_path / "zip.pth")
    torch.save(torch.ones(3), tmp_path / "tensor.pth")
    with refused("holds a Tensor; expected a dictionary"):
        load_foreign(tmp_path / "tensor.pth")


def test_hub_ids_and_paths_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    saved(tmp_path / "snapshot")
    asked: list[str] = []

    def download(name: str, allow_patterns: list[str]) -> str:
        asked.append(name)
        assert allow_patterns == ["model.json", "weights.safetensors"]
        if name != "someone/net":
            raise ConnectionError
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert isinstance(Net.from_pretrained("someone/net"), Net)
    with refused("the hub has not given it .ConnectionError"):
        Net.from_pretrained("someone/other")
    for path in ("./net", "/a/net", "a/b/c", "net", str(tmp_path / "none")):
        with refused("no such folder; expected"):
            saving.resolve(path)
    assert asked == ["someone/net", "someone/other"]


def test_loading_tensors_of_nothing(tmp_path: Path) -> None:
    with refused("no such file"):
        load_tensors(tmp_path / "none.safetensors")
    with refused("truncated or not"):
        load_tensors(tmp_path)
