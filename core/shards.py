"""Weights in a folder, or in several files that an index names, as Hugging Face's libraries write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import UserError

INDEX = ".index.json"
NAMES = ("model.safetensors", f"model.safetensors{INDEX}", "pytorch_model.bin", f"pytorch_model.bin{INDEX}")
"""Files with weights that such a folder may have; the first that is there is read."""


def weights_in(folder: Path) -> Path:
    """The file of a folder that has its weights, or the index of several that have them.

    Raises:
        UserError: there is none.
    """
    found = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if found is None:
        raise UserError(f"{folder}: a folder without weights to convert; expected one of {', '.join(NAMES)} in it")
    return found


def merged(index: Path, read: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """The tensors that an index names, of all its files.

    Args:
        index: JSON with ``weight_map``: the file of every tensor, beside the index.
        read: gives the content of a file.

    Raises:
        UserError: no such index, files that are missing or lie elsewhere, a tensor that its file does not have, or what
            ``read`` raises.
    """
    places = _weight_map(index)
    files = sorted(set(places.values()))
    missing = [name for name in files if not (index.parent / name).is_file()]
    if missing:
        said = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise UserError(f"{index}: {len(missing)} of {len(files)} files with its weights are missing ({said})")
    found: dict[str, Any] = {}
    for file in files:
        content = read(index.parent / file)
        for name in (name for name, place in places.items() if place == file):
            if name not in content:
                raise UserError(f"{index.parent / file}: {name} is not in it; {index.name} says it is")
            found[name] = content[name]
    return found


def _weight_map(index: Path) -> dict[str, str]:
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except OSError as error:
        raise UserError(f"{index}: cannot be read ({error.strerror or error}); expected an index of weights") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{index}: no index of weights; expected JSON with weight_map ({error})") from error
    if not isinstance(places, dict) or not places or not all(isinstance(place, str) for place in places.values()):
        raise UserError(f"{index}: weight_map is not names of tensors and of files")
    outside = next((place for place in places.values() if Path(place).name != place or place.endswith(INDEX)), None)
    if outside is not None:  # an index must not lead to files elsewhere, or to itself
        raise UserError(f"{index}: {outside!r} is no file with weights beside it")
    return places
