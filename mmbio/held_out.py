"""What a run held out of the data it was trained on, found again from its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from core.config import from_dict
from core.errors import UserError
from core.saving import resolve
from core.training.pretrained import data_of
from core.training.run import RunFolder
from mmbio.config import RECIPES, MSADataConfig, MSATransformerRecipe, TextConfig
from mmbio.data.msa import MSASet, split_alignments
from mmbio.data.sets import AntibodySet, LabelledSequences, SequenceSet
from mmbio.data.sources import load, load_texts
from mmbio.data.tokens import split_held_out
from mmbio.texts import spelled


class HeldOut(NamedTuple):
    """Data that a run did not learn from, what it is, and how the run takes sequences and alignments."""

    data: Any
    said: str
    text: TextConfig = TextConfig()
    msa: MSADataConfig = MSADataConfig()


def held_out_of(run: str | Path) -> HeldOut:
    """What a run held out, as it read it; of labelled data and of antibodies all, whose test part no run learns from.

    Raises:
        UserError: a model without a run, data that has changed since, or nothing was held out.
    """
    source = data_of(run)
    recipe = _recipe_of(run)
    if recipe is None:  # a fine-tuning, whose data is labelled
        given = load(source)
        return HeldOut(given, describe(given))
    if isinstance(recipe, MSATransformerRecipe):
        alignments = load(source)
        _, held = split_alignments(alignments, recipe.msa)
        _require(held, run, "alignments", len(alignments))
        some = MSASet(alignments.name, tuple(alignments.alignments[i] for i in held))
        return HeldOut(some, f"held out by the run, {len(held)} alignments", msa=recipe.msa)
    if "+" not in source:
        given = load(source)
        if isinstance(given, LabelledSequences | AntibodySet):
            return HeldOut(given, describe(given), recipe.text)
    data = spelled(recipe, load_texts(source)).data
    _, held = split_held_out(data, recipe.text)
    _require(held, run, "sequences", len(data))
    return HeldOut(subset(data, held), f"held out by the run, {len(held)} sequences", recipe.text)


def as_taken(data: Any, run: str | Path) -> HeldOut:
    """Other data than a run's own, which is scored whole or on its test part, taken as the run took what it learned from."""
    recipe = _recipe_of(run) if (resolve(run) / "config.yaml").is_file() else None
    if recipe is None:  # of a fine-tuning, or of weights without a run
        return HeldOut(data, describe(data))
    if isinstance(recipe, MSATransformerRecipe):
        return HeldOut(data, describe(data), msa=recipe.msa)
    return HeldOut(data, describe(data), recipe.text)


def _recipe_of(run: str | Path) -> Any | None:
    """The recipe of a pretraining; None of a fine-tuning."""
    settings = RunFolder(resolve(run)).config()
    if settings.get("system") not in RECIPES:
        return None
    return from_dict(RECIPES[settings["system"]], settings, f"{run}/config.yaml")


def subset(data: SequenceSet, chosen: list[int]) -> SequenceSet:
    """Some sequences of a set."""
    texts, names, regions = (tuple(x[i] for i in chosen) if x else () for x in (data.texts, data.names, data.regions))
    return SequenceSet(data.name, data.kind, texts, names, regions)


def describe(data: Any) -> str:
    """What is scored of data that was not held out by a run."""
    if isinstance(data, LabelledSequences | AntibodySet):
        return f"test part, {len(data.test)} sequences"
    if isinstance(data, SequenceSet):
        return f"what it holds out, {len(data.held_out)} sequences" if data.held_out else f"all {len(data)} sequences"
    return f"all {len(data)} alignments" if isinstance(data, MSASet) else "test scores"


def _require(held: list[int], run: str | Path, what: str, count: int) -> None:
    """See that something was held out, and that the data has not changed since."""
    then = RunFolder(resolve(run)).environment().get("data", {}).get(what)
    if then is not None and then != count:
        raise UserError(
            f"{run}: its data has changed since, {then} {what} then and {count} now, so what was held out cannot be found "
            "again; name other data with --data"
        )
    if not held:
        raise UserError(f"{run}: held out nothing of its data, so all was trained on; name other data with --data")
