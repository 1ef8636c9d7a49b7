"""Pretraining from a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mmbio.config import MSATransformerRecipe, Recipe, TextRecipe
from mmbio.data.sets import SequenceSet
from mmbio.data.sources import load_texts
from mmbio.data.tokens import split_held_out
from mmbio.models import load_model
from mmbio.molecules.vocabulary import with_vocabulary
from mmbio.report import describe_data, write_report
from mmbio.texts import check_counts, counted, samples_of, spelled
from mmbio.tokenize import new_model_of, with_tokenizer

SHOWN_OF_TRAINING = 100  # sequences that a report is of where none are held out


def pretrain(
    recipe: Recipe, out: str | Path, resume: bool = False, header: str = "", data: SequenceSet | None = None
) -> Outcome:
    """Train a model of sequences or of alignments by its recipe and leave a run folder with ``report.html``.

    Args:
        recipe: data, model, optimiser, length, devices.
        out: the run folder.
        resume: go on with the run in ``out``.
        header: first line of its config.yaml (the paper).
        data: sequences to train on in place of what ``recipe.data`` names, which then only says what it is.

    Raises:
        UserError: bad data or settings, or a folder that holds another run.
    """
    if isinstance(recipe, MSATransformerRecipe):
        from mmbio.pretrain_alignments import pretrain_alignments

        return pretrain_alignments(recipe, out, resume, header)
    folder = RunFolder(out)
    given, augment = spelled(recipe, load_texts(recipe.data) if data is None else data)
    train, held = split_held_out(given, recipe.text)
    settings: TextRecipe = with_tokenizer(with_vocabulary(recipe, *counted(given, train, augment)))
    longest = settings.text.longest

    def make(main: bool) -> Job:
        model = new_model_of(settings)
        samples = samples_of(model, given, train, longest, augment)
        looked_at = samples_of(model, given, held, longest)
        check_counts(model, samples, looked_at, settings.train, settings.run)

        def after_epoch(epoch: int) -> dict[str, float] | None:
            if not len(looked_at) or (epoch % settings.text.every and epoch != settings.train.epochs):
                return None
            return model.held_out_scores(looked_at, settings.train.batch_size)

        left_out = len(train) + len(held) - len(samples) - len(looked_at)
        said = describe_data(given, settings.data, len(samples), len(looked_at), left_out)
        counted = (model.reader.unit, model.reader.size)
        return Job(model, samples, masked_step(model), said, after_epoch=after_epoch, counted=counted)

    outcome = run_training(folder, dataclasses.asdict(settings), resume, header, settings, make)
    if outcome.wants_report(folder):
        model = load_model(folder.path)
        shown, what = samples_of(model, given, held, longest), "sequences that were not trained on"
        if not len(shown):
            shown = samples_of(model, given, train[:SHOWN_OF_TRAINING], longest)
            what = "sequences that were trained on, since none were held out"
        write_report(folder, model, shown, f"{len(shown)} {what}")
    return outcome
