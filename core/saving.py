"""Weights on disk: ours as safetensors beside a JSON of the model's configuration; loading never executes code."""

from __future__ import annotations

import dataclasses
import json
import pickle
import struct
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from core.config import did_you_mean, from_dict
from core.errors import UserError
from core.files import write_atomically
from core.shards import INDEX, merged, weights_in
from core.unread import UNREAD

WEIGHTS = "weights.safetensors"
MODEL = "model.json"
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which checkpoints of other code bases keep their weights."""

PLAIN_CLASSES: list[Any] = [Namespace]
"""Classes that such checkpoints may hold beside tensors: they keep values by name and run nothing when they are made."""


class Pretrained:
    """Adds ``save_pretrained`` and ``from_pretrained`` to a module that is built from one dataclass.

    The class states ``Config``, and its constructor takes one instance of it and keeps it as ``self.config``.
    """

    Config: ClassVar[type]
    config: Any

    def save_pretrained(self, folder: str | Path, weights: dict[str, Tensor] | None = None) -> None:
        """Write ``model.json`` and ``weights.safetensors`` into a folder, each atomically.

        Args:
            weights: what to write instead of the model's own state (gathered weights of a sharded model).

        Raises:
            UserError: the folder cannot be written, or the disk is full; what was there stays.
        """
        assert isinstance(self, nn.Module)
        folder = Path(folder)
        described = {"model": _class_name(type(self)), "config": dataclasses.asdict(self.config)}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / MODEL, (json.dumps(described, indent=2) + "\n").encode())
            save_tensors(self.state_dict() if weights is None else weights, folder / WEIGHTS)
        except OSError as error:
            raise UserError(f"{folder}: the model could not be written ({error.strerror or error})") from error

    @classmethod
    def from_pretrained(cls, source: str | Path) -> Self:
        """A model in evaluation mode from a folder written by ``save_pretrained``, a run folder, or a hub id.

        Raises:
            UserError: no such folder, another kind of model, or weights that are truncated or of another shape.
        """
        folder = resolve(source)
        described = describe(folder)
        if described["model"] != cls.__name__:
            raise UserError(f"{folder / MODEL}: holds a {described['model']}, expected a {cls.__name__}")
        config = from_dict(cls.Config, described["config"], str(folder / MODEL))
        try:
            model = cls(config)  # type: ignore[call-arg]
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{folder / MODEL}: not a configuration of {cls.__name__} ({error})") from error
        assert isinstance(model, nn.Module)
        load_strictly(model, load_tensors(folder / WEIGHTS), str(folder / WEIGHTS))
        model.eval()
        return model


def _class_name(kind: type) -> str:
    """The name of the class that was written, which sharding hides behind one it makes."""
    return next(base.__name__ for base in kind.__mro__ if not base.__module__.startswith("torch."))


def resolve(source: str | Path) -> Path:
    """The folder of a model: the path itself, or the downloaded snapshot of a hub id such as ``name/model``."""
    folder = Path(source)
    if folder.is_dir():
        return folder
    if str(source).count("/") != 1 or str(source).startswith((".", "/", "~")) or folder.parent.is_dir():
        raise UserError(f"{source}: no such folder; expected a run folder or a folder with {MODEL} and {WEIGHTS}")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(source), allow_patterns=[MODEL, WEIGHTS]))
    except Exception as error:  # the hub raises many kinds, all of which mean the same to the user
        raise UserError(f"{source}: no such folder, and the hub has not given it ({type(error).__name__})") from error


def describe(folder: Path) -> dict[str, Any]:
    """The content of ``model.json``: the model's class name and its configuration."""
    path = folder / MODEL
    try:
        described = json.loads(path.read_text())
        return {"model": described["model"], "config": dict(described["config"])}
    except FileNotFoundError as error:
        seeds = sorted(found.name for found in folder.glob("seed-*"))
        instead = f"; name one of its runs: {', '.join(seeds)}" if seeds else ""
        raise UserError(
            f"{path}: missing; expected a run folder or a folder written by save_pretrained{instead}"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not readable as the description of a model ({error})") from error


def class_named(name: str, kinds: Iterable[type], where: str, package: str) -> Any:
    """The class among a package's models that a saved model names.

    Raises:
        UserError: there is none, naming ``where``.
    """
    known = {kind.__name__: kind for kind in kinds}
    if name not in known:
        raise UserError(f"{where}: {name!r} is no model of {package}{did_you_mean(str(name), known)}")
    return known[name]


def load_one_of(kinds: Iterable[type], source: str | Path, package: str) -> Any:
    """A saved model of any of a package's classes, in evaluation mode, from a run folder, a saved folder or a hub id.

    Raises:
        UserError: not a model of the package, or unreadable weights.
    """
    folder = resolve(source)
    return class_named(describe(folder)["model"], kinds, str(folder / MODEL), package).from_pretrained(folder)


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write named tensors as safetensors, atomically and synced to disk. Tied tensors are written under each name."""
    from safetensors.torch import save

    values, known = {}, set()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        memory = value.untyped_storage().data_ptr()
        values[name] = value.clone() if memory in known else value  # safetensors refuses shared memory
        known.add(memory)
    write_atomically(path, save(values))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file onto the CPU.

    Raises:
        UserError: missing, empty, truncated or not a safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; expected weights as safetensors") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: truncated or not a safetensors file ({error})") from error


def load_foreign(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of another code base without executing what it holds.

    Args:
        path: a file (``.pth``, ``.pt``, ``.bin``, safetensors), the index of several, or a folder that has one of
            :data:`core.shards.NAMES`.

    Raises:
        UserError: missing, truncated, or a pickle that holds more than tensors, plain containers, :data:`PLAIN_CLASSES`
            and what :data:`core.unread.UNREAD` names.
    """
    path = Path(path)
    if path.is_dir():
        if (path / MODEL).is_file():
            raise UserError(f"{path}: a run or saved model of ours, not a checkpoint of another code base")
        path = weights_in(path)
    return merged(path, _load_file) if path.name.endswith(INDEX) else _load_file(path)


def _load_file(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        return load_tensors(path)
    try:
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(PLAIN_CLASSES + UNREAD):
            content = torch.load(path, map_location="cpu", weights_only=True)  # warns of old formats
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; expected a checkpoint") from error
    except pickle.UnpicklingError as error:
        refused = "GLOBAL " in str(error) or "Can only " in str(error)  # a name that is not allowed, or used otherwise
        why = "holds objects that could execute code, refused" if refused else "not a readable checkpoint"
        raise UserError(f"{path}: {why}; expected tensors in plain dictionaries") from error
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, struct.error, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: truncated or not a checkpoint ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}; expected a dictionary of tensors")
    return content


def state_dict_of(content: dict[str, Any], source: str) -> dict[str, Tensor]:
    """The named tensors of a checkpoint, which may be wrapped once, without the prefix of a parallel model.

    Raises:
        UserError: there are none.
    """
    inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), dict)), content)
    if not inner or not all(isinstance(value, Tensor) for value in inner.values()):
        raise UserError(f"{source}: holds no state dict; expected names and tensors")
    return {str(name).removeprefix("module."): tensor for name, tensor in inner.items()}


def load_strictly(model: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Load weights that must fit exactly in names and shapes.

    Raises:
        UserError: as :func:`check_weights`.
    """
    check_weights(model, tensors, source)
    model.load_state_dict(tensors)


def check_weights(model: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """See that weights fit a model exactly in names and shapes.

    Raises:
        UserError: naming the source and the first names that are missing, unexpected or of another shape.
    """
    own = model.state_dict()
    wrong = [f"{name} is {tuple(tensors[name].shape)}, the model has {tuple(own[name].shape)}"
             for name in own if name in tensors and tensors[name].shape != own[name].shape]  # fmt: skip
    missing = [name for name in own if name not in tensors]
    unexpected = [name for name in tensors if name not in own]
    if wrong or missing or unexpected:
        said = [
            f"{len(names)} {kind} ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"
            for kind, names in (("of another shape", wrong), ("missing", missing), ("unexpected", unexpected))
            if names
        ]
        raise UserError(f"{source}: weights of another architecture than {type(model).__name__}: {'; '.join(said)}")
