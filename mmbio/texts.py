"""Sequences as a model takes them: spelled as its recipe says, cut to what fits, without those that teach it nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from core.errors import UserError
from core.training.config import RunConfig, TrainConfig
from mmbio.config import MolFormerRecipe, SmilesBertRecipe, TextRecipe
from mmbio.data.sets import SequenceSet
from mmbio.data.tokens import Augment
from mmbio.molecules.chemistry import randomise
from mmbio.molecules.respelling import respelled
from mmbio.readers import Samples
from mmbio.takes import check_kind


class Spelled(NamedTuple):
    """Sequences, and what spells each otherwise every time it is trained on, None for nothing."""

    data: SequenceSet
    augment: Augment | None


def spelled(recipe: TextRecipe, data: SequenceSet) -> Spelled:
    """Sequences as a recipe reads them.

    Where it randomises molecules they are canonical here: what is held out is read so, tokens are counted so, and of two
    spellings of one molecule the first stays, so that none is trained on in one and looked at in another.

    Raises:
        UserError: proteins for a model of molecules, or texts that are no molecules where it randomises.
    """
    if not isinstance(recipe, MolFormerRecipe | SmilesBertRecipe):
        return Spelled(data, None)
    if data.kind != "molecule":  # said here, before their letters are read as atoms
        raise UserError(f"{data.name}: {data.kind}s; expected molecules for {recipe.system}")
    if not recipe.randomise:
        return Spelled(data, None)
    spellings = respelled(data).texts
    first: dict[str, int] = {}
    for number, text in enumerate(spellings):
        first.setdefault(text, number)
    held = {spellings[i] for i in data.held_out}
    apart = tuple(place for place, text in enumerate(first) if text in held)
    names = tuple(data.names[i] for i in first.values()) if data.names else ()
    return Spelled(SequenceSet(data.name, data.kind, tuple(first), names, (), apart, data.skipped), randomise)


def counted(data: SequenceSet, chosen: Sequence[int], augment: Augment | None) -> tuple[SequenceSet, Sequence[int]]:
    """The texts that a vocabulary is made of, as a set and indices: the chosen ones, and where molecules are spelled otherwise
    also their mirror images, since another spelling writes a stereo centre either way."""
    mirrored = [mirror(data.texts[i]) for i in chosen if "@" in data.texts[i]] if augment else []
    if not mirrored:
        return data, chosen
    texts = (*data.texts, *mirrored)
    return SequenceSet(data.name, data.kind, texts), [*chosen, *range(len(data), len(texts))]


def mirror(text: str) -> str:
    """A molecule with every stereo centre the other way round."""
    return text.replace("@@", "\0").replace("@", "@@").replace("\0", "@")


def samples_of(
    model: Any, data: SequenceSet, chosen: Sequence[int], longest: int, augment: Augment | None = None
) -> Samples:
    """Sequences as the model takes them (:class:`~mmbio.readers.Samples`), without those that it learns nothing from
    (``model.learns_from``): none of whose tokens masks may hide, or that are too short.

    Raises:
        UserError: proteins for a model of molecules or the other way round, windows shorter than the model needs or longer
            than its positions, or texts that its vocabulary cannot read.
    """
    check_kind(model, data)
    reader = model.reader
    most = reader.longest
    if most is not None and longest > most:
        raise UserError(
            f"text.longest {longest}: with begin and end more than the model's {model.longest} positions; expected at most {most}"
        )
    if reader.trained_length(longest) is not None and longest < model.shortest:
        raise UserError(f"text.longest {longest}: expected at least {model.shortest} for {type(model).__name__}")
    found = reader.samples(data, chosen, longest, augment)
    kept = found.learned_from(model)
    return found if kept.all() else found.only(kept)


def check_counts(model: Any, train: Samples, held: Samples, config: TrainConfig, run: RunConfig) -> None:
    """See before a training that there is something to train on, and enough in every batch and to look at.

    Raises:
        UserError: there is not.
    """
    name, fewest = type(model).__name__, model.fewest
    if not len(train):
        raise UserError(
            f"{train.data.name}: no sequence that {name} learns from: it needs {model.shortest} tokens that masks may hide"
        )
    size = config.batch_size // (config.accumulate * run.devices * run.nodes)
    last = len(train) % config.batch_size if config.last_batch == "keep" else 0
    for count, what in ((size, "train.batch_size"), (last, "train.last_batch keep"), (len(held), "text.held_out")):
        if 0 < count < fewest:
            raise UserError(
                f"{what}: {count} sequence(s) together, and {name} tells sequences from one another; expected {fewest} or more"
            )
