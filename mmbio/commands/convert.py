"""`mmbio convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import UserError


def convert(
    checkpoint: str,
    recipe: str | None = None,
    contacts: str | None = None,
    heads: int | None = None,
    vocabulary: str | None = None,
    out: str | None = None,
) -> None:
    """Weights of an official repository as a folder of ours.

    Args:
        checkpoint: the official file, or a folder or index as Hugging Face writes them; read without executing what they hold.
        recipe: a recipe whose section ``model`` describes the network; files of ESM-1b, ESM-1v and ESM-2 say it themselves.
        contacts: the official file with the regression of contacts (-contact-regression.pt), of ESM and the MSA Transformer.
        heads: attention heads, where an ESM file without recipe does not say.
        vocabulary: the file with the tokens (bert_vocab.txt, vocab.json), of MolFormer.
        out: folder to write model.json and weights.safetensors to; that of the file's name with -official where none is given.
    """
    from core.cli.convert import empty_folder
    from core.saving import load_foreign

    folder = empty_folder(Path(out or f"{Path(checkpoint).resolve().stem}-official"))
    if recipe is None and vocabulary is not None:
        raise UserError(
            f"--vocabulary {vocabulary}: goes with --recipe, the one that describes the network (molformer_moses)"
        )
    content = load_foreign(checkpoint)
    if recipe is None:
        model = _by_itself(content, checkpoint, heads)
    else:
        model = _by_recipe(content, checkpoint, recipe, vocabulary)
    head = _contacts(model, content, checkpoint, contacts)
    model.save_pretrained(folder)
    if head is not None:
        head.save(folder)
    said = "" if head is None else ", with its regression of contacts"
    print(f"{folder}: {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters{said}")


def _by_itself(content: dict[str, Any], checkpoint: str, heads: int | None) -> Any:
    """A model whose sizes the file tells."""
    from mmbio.models.esm_official import load_official
    from mmbio.models.esm_sizes import settings_beside

    beside = settings_beside(checkpoint)
    try:
        return load_official(content, checkpoint, heads, beside)
    except UserError as error:
        raise UserError(f"{error}. --recipe names a recipe that describes the network of other files") from error


def _by_recipe(content: dict[str, Any], checkpoint: str, recipe: str, vocabulary: str | None) -> Any:
    """A model whose sizes a recipe tells, and whose tokens a file of their own may tell."""
    from core.cli.convert import load_converted, model_of
    from core.cli.recipes import find_recipe
    from mmbio.config import RECIPES
    from mmbio.models import converters, new_model
    from mmbio.models.molformer_tokens import with_tokens

    known = converters()

    def new(config: Any) -> Any:
        return new_model(with_tokens(config, vocabulary, recipe))

    model = model_of(find_recipe("mmbio", recipe), RECIPES, new, known)
    load_converted(model, content, checkpoint, known)
    return model


def _contacts(model: Any, content: dict[str, Any], checkpoint: str, contacts: str | None) -> Any | None:
    """The regression of contacts in a file of its own, or beside the weights; None where there is none."""
    from core.saving import load_foreign, state_dict_of
    from mmbio.contacts import ContactHead
    from mmbio.models.esm1b import ESM1b
    from mmbio.models.esm2 import ESM2
    from mmbio.models.esm_names import plain_names
    from mmbio.models.msa_transformer import MSATransformer

    if not isinstance(model, ESM1b | ESM2 | MSATransformer):
        if contacts is not None:
            raise UserError(f"--contacts {contacts}: a {type(model).__name__} has no regression of contacts")
        return None
    source = contacts or checkpoint
    found = plain_names(state_dict_of(load_foreign(contacts) if contacts else content, source)).contacts
    if found is None:
        if contacts is not None:
            raise UserError(f"{contacts}: no contact_head.regression in it; expected a file ...-contact-regression.pt")
        return None
    return ContactHead.of(*found, model.config.depth * model.config.heads, source)
