"""What the `convert` commands of the domains share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli.recipes import Recipe, build_recipe, kind_of
from core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Converters = Mapping[type, "Callable[[dict[str, Tensor], Any], dict[str, Tensor]]"]
"""Functions from official names and our model to our names, by the class of the model."""


def empty_folder(name: str | Path) -> Path:
    """A folder that a model may be written to.

    Raises:
        UserError: it is a file, or holds something.
    """
    folder = Path(name)
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise UserError(f"{name}: exists and is not empty; name another folder")
    return folder


def model_of(recipe: Recipe, kinds: Mapping[str, type], new: Callable[[Any], Any], known: Converters) -> Any:
    """The untrained network that a recipe describes.

    Args:
        kinds: dataclasses of the recipes by system.
        new: makes a model of a recipe's section ``model``.
        known: of which classes official weights convert.

    Raises:
        UserError: a recipe of something else, or of a network whose official weights do not convert.
    """
    model = new(build_recipe(recipe, kind_of(recipe, kinds)).model)
    if type(model) not in known:
        names = ", ".join(kind.__name__ for kind in known)
        raise UserError(
            f"{recipe.path}: a {type(model).__name__}, whose official weights have no converter; there is one for {names}"
        )
    return model


def load_converted(model: Any, content: dict[str, Any], checkpoint: str, known: Converters) -> None:
    """Load what an official file holds.

    Raises:
        UserError: no state dict, or weights of another network, naming the file.
    """
    from core.saving import load_strictly, state_dict_of

    state = state_dict_of(content, checkpoint)
    try:
        weights = known[type(model)](state, model)
    except UserError as error:
        raise UserError(f"{checkpoint}: {error}") from error
    load_strictly(model, weights, checkpoint)
