"""Pretraining from a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from core.errors import UserError
from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mmbio.config import MSATransformerRecipe, Recipe, TextRecipe
from mmbio.contrast import long_enough, score_contrast
from mmbio.data.sets import SequenceSet
from mmbio.data.sources import load_texts
from mmbio.data.tokens import Augment, TokenData, split_held_out
from mmbio.models import load_model, new_model
from mmbio.models.cpcprot import CPCProt
from mmbio.models.masked_lm import MaskedLM
from mmbio.molecules.chemistry import canonical, randomise
from mmbio.molecules.vocabulary import with_vocabulary
from mmbio.perplexity import score_lm
from mmbio.report import write_report


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
    given = load_texts(recipe.data) if data is None else data
    train, held = split_held_out(given, recipe.text)
    settings: TextRecipe = with_vocabulary(recipe, given, train)
    longest = settings.text.longest
    spell, respell = (randomise, one_spelling) if getattr(settings, "randomise", False) else (None, None)

    def make(main: bool) -> Job:
        model = new_model(settings.model)
        samples = token_data(model, given, train, longest, spell)
        looked_at = token_data(model, given, held, longest, respell)

        def after_epoch(epoch: int) -> dict[str, float] | None:
            if not len(looked_at) or (epoch % settings.text.every and epoch != settings.train.epochs):
                return None
            return held_out_scores(model, looked_at, settings.train.batch_size)

        said = describe_data(given, settings.data, len(samples), len(looked_at))
        unit = "residues" if given.kind == "protein" else "tokens"
        return Job(model, samples, masked_step(model), said, after_epoch=after_epoch, counted=(unit, count_tokens))

    outcome = run_training(folder, dataclasses.asdict(settings), resume, header, settings, make)
    finished_before = outcome.result.steps_now == 0 and (folder.path / "report.html").exists()
    if outcome.main and not finished_before:
        model = load_model(folder.path)
        write_report(folder, model, token_data(model, given, held or train[:100], longest, respell))
    return outcome


def held_out_scores(model: MaskedLM | CPCProt, data: TokenData, batch_size: int) -> dict[str, float]:
    """What is logged of sequences that are not trained on."""
    if isinstance(model, CPCProt):
        contrast = score_contrast(model, data, batch_size)
        return {"held_out_loss": contrast.loss, "held_out_accuracy": contrast.accuracy}
    score = score_lm(model, data)
    return {
        "held_out_loss": score.loss,
        "held_out_perplexity": score.perplexity,
        "held_out_accuracy": score.accuracy,
    }


def token_data(
    model: MaskedLM | CPCProt, data: SequenceSet, chosen: list[int], longest: int, augment: Augment | None = None
) -> TokenData:
    """Sequences as the model takes them; for CPCProt those that are long enough to take part.

    Raises:
        UserError: proteins for a model of molecules or the other way round, windows longer than the model's positions, or
            texts that its vocabulary cannot read.
    """
    if data.kind != model.vocabulary.kind:
        raise UserError(f"{data.name}: {data.kind}s; expected {model.vocabulary.kind}s for a {type(model).__name__}")
    if isinstance(model, CPCProt):
        chosen = long_enough(model, data, chosen)
    around = model.vocabulary.around
    if model.longest is not None and longest + around > model.longest:
        raise UserError(
            f"text.longest {longest}: with begin and end more than the model's {model.longest} positions; "
            f"expected at most {model.longest - around}"
        )
    return TokenData(data, chosen, model.vocabulary, longest, augment)


def one_spelling(text: str, draws: torch.Generator) -> str:
    """The canonical spelling of a molecule, which a model that reads all spellings is looked at with; nothing is drawn."""
    return canonical(text)


def count_tokens(batch: Any) -> int:
    """Tokens of a batch."""
    return len(batch.ids)


def describe_data(data: SequenceSet, source: str, train: int, held: int) -> dict[str, Any]:
    """What a run folder says of its data."""
    said: dict[str, Any] = {"source": source, "sequences": len(data), "trained_on": train, "held_out": held}
    if data.skipped:
        said["skipped"] = list(data.skipped)
    return {"data": said}
