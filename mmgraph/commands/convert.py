"""`mmgraph convert`."""

from __future__ import annotations

from pathlib import Path


def convert(checkpoint: str, recipe: str, out: str | None = None) -> None:
    """Weights of an official repository as a folder of ours.

    Args:
        checkpoint: the official file, or a folder or index as Hugging Face writes them, read without executing what they hold.
        recipe: a recipe whose section ``model`` describes the network: a name of `mmgraph list`, or a file.
        out: folder to write model.json and weights.safetensors to; RECIPE-official where none is given.
    """
    from core.cli.convert import empty_folder, load_converted, model_of
    from core.cli.recipes import find_recipe
    from core.saving import load_foreign
    from mmgraph.config import RECIPES
    from mmgraph.models import converters, new_model

    found, known = find_recipe("mmgraph", recipe), converters()
    folder = empty_folder(Path(out or f"{found.name}-official"))
    model = model_of(found, RECIPES, new_model, known)
    load_converted(model, load_foreign(checkpoint), checkpoint, known)
    model.save_pretrained(folder)
    print(f"{folder}: {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters")
