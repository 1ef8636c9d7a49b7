"""`mmgraph convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

WRAPPERS = ("state_dict", "model_state_dict", "model")


def convert(checkpoint: str, recipe: str, out: str | None = None) -> None:
    """Weights of an official repository as a folder of ours.

    Args:
        checkpoint: the official file; it is read without executing what it holds.
        recipe: a recipe whose section ``model`` describes the network: a name of `mmgraph list`, or a file.
        out: folder to write model.json and weights.safetensors to; RECIPE-official where none is given.
    """
    from core.cli.recipes import build_recipe, find_recipe, kind_of
    from core.saving import load_foreign, load_strictly
    from mmgraph.config import RECIPES
    from mmgraph.models import converters, new_model

    found = find_recipe("mmgraph", recipe)
    folder = Path(out or f"{found.name}-official")
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise UserError(f"{folder}: exists and is not empty; name another folder")
    model = new_model(build_recipe(found, kind_of(found, RECIPES)).model)
    known = converters()
    if type(model) not in known:
        names = ", ".join(kind.__name__ for kind in known)
        raise UserError(
            f"{found.path}: a {type(model).__name__}, whose official weights have no converter; there is one for {names}"
        )
    state = state_dict_of(load_foreign(checkpoint), checkpoint)
    try:
        weights = known[type(model)](state, model)
    except UserError as error:
        raise UserError(f"{checkpoint}: {error}") from error
    load_strictly(model, weights, checkpoint)
    model.save_pretrained(folder)
    print(f"{folder}: {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters")


def state_dict_of(content: dict[str, Any], source: str) -> dict[str, Tensor]:
    """The named tensors of a checkpoint, which may be wrapped once, without the prefix of a parallel model.

    Raises:
        UserError: there are none.
    """
    import torch

    inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), dict)), content)
    if not inner or not all(isinstance(value, torch.Tensor) for value in inner.values()):
        raise UserError(f"{source}: holds no state dict; expected names and tensors")
    return {str(name).removeprefix("module."): tensor for name, tensor in inner.items()}
