"""Training of tokenizers of atoms, and models that begin from a trained one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from core.config import from_dict
from core.errors import UserError
from core.saving import describe, resolve
from core.training.job import Job, Outcome, run_training, tokenizer_step
from core.training.run import RunFolder
from mmbio.config import MoleBertTokenizerConfig, MoleBertTokenizerRecipe
from mmbio.data.sets import SequenceSet
from mmbio.data.sources import load_texts
from mmbio.data.tokens import split_held_out
from mmbio.models import load_model, new_model
from mmbio.models.mole_bert_tokenizer import MoleBertTokenizer
from mmbio.report import describe_data, write_tokenizer_report
from mmbio.texts import check_counts, samples_of

SHOWN = 1000  # molecules that the report's table of codes is of


def tokenize(
    recipe: MoleBertTokenizerRecipe,
    out: str | Path,
    resume: bool = False,
    header: str = "",
    data: SequenceSet | None = None,
) -> Outcome:
    """Train a tokenizer of atoms by its recipe and leave a run folder with ``report.html``.

    After every epoch the shares of elements, chiralities and bonds of held-out molecules that come back right are logged, the
    number of codes in use, and their perplexity.

    Args:
        recipe: data, model, optimiser, length, devices.
        out: the run folder.
        resume: go on with the run in ``out``.
        header: first line of its config.yaml (the paper).
        data: molecules to train on in place of what ``recipe.data`` names, which then only says what it is.

    Raises:
        UserError: bad data or settings, or a folder that holds another run.
    """
    folder = RunFolder(out)
    given = load_texts(recipe.data) if data is None else data
    train, held = split_held_out(given, recipe.text)

    def make(main: bool) -> Job:
        model = new_model(recipe.model)
        samples, looked_at = (samples_of(model, given, some, recipe.text.longest) for some in (train, held))
        check_counts(model, samples, looked_at, recipe.train, recipe.run)

        def after_epoch(epoch: int) -> dict[str, float] | None:
            if not len(looked_at) or (epoch % recipe.text.every and epoch != recipe.train.epochs):
                return None
            return model.held_out_scores(looked_at)

        said = describe_data(given, recipe.data, len(samples), len(looked_at))
        counted = (model.reader.unit, model.reader.size)
        return Job(model, samples, tokenizer_step(model), said, after_epoch=after_epoch, counted=counted)

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    if outcome.wants_report(folder):
        model = load_model(folder.path)
        shown = samples_of(model, given, (held or train)[:SHOWN], recipe.text.longest)
        what = f"{len(shown)} molecules that were {'not ' if held else ''}trained on"
        write_tokenizer_report(folder, model, shown, what)
    return outcome


def with_tokenizer(recipe: Any) -> Any:
    """A copy of a recipe whose model has the sizes of the tokenizer that it names; as it is where models need none.

    Raises:
        UserError: none is named, or what is named is no tokenizer of atoms.
    """
    named = getattr(recipe, "tokenizer", None)
    if named is None:
        return recipe
    if not named:
        raise UserError(
            "tokenizer: none is named; expected --tokenizer RUN, a run folder that `mmbio tokenize mole_bert_tokenizer` leaves"
        )
    folder = resolve(named)
    described = describe(folder)
    if described["model"] != MoleBertTokenizer.__name__:
        raise UserError(f"{named}: a {described['model']}; expected a {MoleBertTokenizer.__name__}")
    sizes = from_dict(MoleBertTokenizerConfig, described["config"], str(folder))
    return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, tokenizer=sizes))


def new_model_of(recipe: Any) -> Any:
    """The untrained model of a recipe, with the weights of the tokenizer that it names.

    Raises:
        UserError: a tokenizer that cannot be read.
    """
    model = new_model(recipe.model)
    if hasattr(recipe, "tokenizer"):
        model.start_from(load_model(recipe.tokenizer))
    return model
