"""Pretraining on alignments from a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.training.job import Job, Outcome, masked_step, run_training
from core.training.run import RunFolder
from mmbio.alignments import Alignments
from mmbio.config import MSATransformerRecipe
from mmbio.data.msa import MSASet, split_alignments
from mmbio.data.sources import load
from mmbio.models import load_model, new_model
from mmbio.msa_score import score_by_column, score_msa
from mmbio.report import write_alignment_report


def pretrain_alignments(
    recipe: MSATransformerRecipe,
    out: str | Path,
    resume: bool = False,
    header: str = "",
    data: MSASet | None = None,
) -> Outcome:
    """Train a model of alignments by its recipe; arguments as :func:`mmbio.pretrain.pretrain`.

    Raises:
        UserError: data that is no alignments, or what :func:`~core.training.job.run_training` raises.
    """
    folder = RunFolder(out)
    given = load(recipe.data) if data is None else data
    if not isinstance(given, MSASet):
        raise UserError(f"data {recipe.data!r}: no alignments; expected msa: and a file or folder")
    train, held = split_alignments(given, recipe.msa)

    def make(main: bool) -> Job:
        model = new_model(recipe.model)
        looked_at = model.samples(given, held, recipe.msa)

        def after_epoch(epoch: int) -> dict[str, float] | None:
            if not len(looked_at) or (epoch % recipe.msa.every and epoch != recipe.train.epochs):
                return None
            return model.held_out_scores(looked_at)

        def count_own(batch: Alignments) -> int:
            return len(batch.ids) - model.vocabulary.before * sum(rows for rows, _ in batch.shapes)

        sizes = [[len(a), len(a.rows[0])] for a in given.alignments[:100]]
        samples = model.samples(given, train, recipe.msa)
        said: dict[str, Any] = {"source": recipe.data, "alignments": len(given), "held_out": len(held), "shapes": sizes}
        said["largest_sample"] = [samples.depth, samples.width]
        if given.skipped:
            said["skipped"] = list(given.skipped)
        return Job(
            model,
            samples,
            masked_step(model),
            {"data": said},
            after_epoch=after_epoch,
            counted=("cells", count_own),
        )

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    if outcome.wants_report(folder):
        model = load_model(folder.path)
        shown = model.samples(given, held or train, recipe.msa)
        why = "that were not trained on" if held else "that were trained on, since none were held out"
        what = f"{len(shown)} alignments {why}"
        write_alignment_report(folder, model, score_msa(model, shown), score_by_column(model, shown), what)
    return outcome
