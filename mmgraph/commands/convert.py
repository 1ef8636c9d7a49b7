"""`mmgraph convert`."""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError


def convert(checkpoint: str, recipe: str, out: str | None = None) -> None:
    """Weights of an official repository as a folder of ours.

    Args:
        checkpoint: the official file; it is read without executing what it holds.
        recipe: a recipe whose section ``model`` describes the network: a name of `mmgraph list`, or a file.
        out: folder to write model.json and weights.safetensors to; RECIPE-official where none is given.
    """
    from core.cli.recipes import build_recipe, find_recipe, kind_of
    from core.saving import load_foreign, load_strictly, state_dict_of
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
