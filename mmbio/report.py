"""What a run looks like: curves, what it tells right by token, and sequences with its predictions, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.reporting.curves import plot_curves
from core.reporting.embedding import plot_embedding
from core.reporting.page import Page
from core.reporting.tables import Table
from core.training.run import RunFolder
from mmbio.codes import code_table, look_at_codes, usage_table
from mmbio.data.sets import LabelledSequences, SequenceSet
from mmbio.embedding import embed_sequences
from mmbio.models.mole_bert_tokenizer import MoleBertTokenizer
from mmbio.perplexity import LMScore, score_lm
from mmbio.pictures import held_out_rows, plot_rows
from mmbio.readers import Samples

SHOWN = 4  # sequences with predictions
SHOWN_POINTS = 800  # in the picture of features
MOST_TOKENS = 40  # lines of the table of tokens


def write_report(folder: RunFolder, model: Any, data: Samples, what: str) -> Path:
    """Write ``report.html`` with ``curves.png`` and, for language models, ``predictions.png`` into a run folder.

    Args:
        model: what the run trained.
        data: sequences that are looked at.
        what: how many these are, and whether they were trained on.
    """
    page = Page(f"{type(model).__name__}: {folder.path.resolve().name}")
    add_training(page, folder)
    if model.names_hidden:
        add_predictions(page, folder, model, data, what)
    return end_with_settings(page, folder)


def write_tokenizer_report(folder: RunFolder, model: MoleBertTokenizer, data: Samples, what: str) -> Path:
    """The same for a tokenizer of atoms: how much of its vocabulary is used, and what its codes are.

    Args:
        data: molecules that are looked at.
        what: how many these are, and whether they were trained on.
    """
    page = Page(f"{type(model).__name__}: {folder.path.resolve().name}")
    add_training(page, folder)
    found = look_at_codes(model, data)
    page.add_heading("Vocabulary")
    page.add_table(usage_table(model, found), f"Of {what}: {found.atoms:,} atoms.")
    page.add_heading("Codes")
    page.add_table(
        code_table(model, found), "The commonest codes of each part, and the commonest surroundings of their atoms."
    )
    return end_with_settings(page, folder)


def write_alignment_report(folder: RunFolder, model: Any, score: LMScore, control: LMScore, what: str) -> Path:
    """The same for a model of alignments.

    Args:
        score: of the model.
        control: of the columns' own frequencies on the same cells.
        what: how many alignments these are of, and whether they were trained on.
    """
    page = Page(f"{type(model).__name__}: {folder.path.resolve().name}")
    add_training(page, folder)
    add_tokens(page, score, model.token_names, what)
    rows = [(name, s.perplexity, s.accuracy) for name, s in (("model", score), ("frequencies of the column", control))]
    page.add_table(Table(("told by", "perplexity", "accuracy"), rows), "The same hidden cells.")
    return end_with_settings(page, folder)


def add_training(page: Page, folder: RunFolder) -> None:
    """Curves of a run."""
    if folder.metrics.exists():
        page.add_heading("Training")
        page.add_image(plot_curves(folder.metrics, folder.path / "curves.png"))


def end_with_settings(page: Page, folder: RunFolder) -> Path:
    """Add the run's settings and write ``report.html``."""
    page.add_heading("Settings")
    page.add_code((folder.path / "config.yaml").read_text())
    return page.write(folder.path / "report.html")


def add_predictions(page: Page, folder: RunFolder, model: Any, data: Samples, what: str) -> None:
    """What a language model tells right, by token, and sequences with its predictions."""
    if not len(data):
        return
    add_tokens(page, score_lm(model, data), model.token_names, what)
    page.add_heading("Predictions")
    page.add_image(
        plot_rows(held_out_rows(model, data, SHOWN), folder.path / "predictions.png"),
        "Grey: seen. Bold: hidden; green where the model named it, else black with what it named in red below.",
    )


def add_tokens(page: Page, score: LMScore, names: Sequence[str], what: str) -> None:
    """A table of tokens, and the scores over all of them; nothing where none were hidden."""
    if not score.tokens:
        return
    page.add_heading("Hidden tokens")
    page.add_table(
        token_table(score, names),
        f"Of {what}: {score.tokens:,} hidden tokens, perplexity {score.perplexity:.2f}, {score.accuracy:.1%} told right; "
        f"always naming the commonest would be right in {max(score.hidden) / score.tokens:.1%}.",
    )


def token_table(score: LMScore, names: Sequence[str]) -> Table:
    """For every token that was hidden: how often, and how often it was told right; the commonest first."""
    found = [(n, right, token) for n, right, token in zip(score.hidden, score.right, names, strict=True) if n]
    rows = [(token, n, f"{right / n:.3f}") for n, right, token in sorted(found, key=lambda row: (-row[0], row[2]))]
    return Table(("token", "hidden", "told right"), rows[:MOST_TOKENS])


def plot_values(model: Any, data: LabelledSequences, path: Path) -> Path:
    """Draw features of the sequences that were not trained on in the plane, coloured by the quarter of the first label."""
    shown = np.concatenate([data.validation, data.test])[:SHOWN_POINTS]
    values = np.asarray(data.labels)[shown, 0]
    edges = np.quantile(values, (0.25, 0.5, 0.75))
    names = [f"{data.classes[0]} below {edges[0]:.2g}", f"to {edges[1]:.2g}", f"to {edges[2]:.2g}", "above"]
    features = embed_sequences(model, [data.texts[i] for i in shown])
    return plot_embedding(features, np.digitize(values, edges), names, path)


def describe_data(data: SequenceSet, source: str, train: int, held: int, left_out: int = 0) -> dict[str, Any]:
    """What a run folder says of its data; left out are sequences that the model learns nothing from."""
    said: dict[str, Any] = {"source": source, "sequences": len(data), "trained_on": train, "held_out": held}
    if left_out:
        said["left_out"] = left_out
    if data.skipped:
        said["skipped"] = list(data.skipped)
    return {"data": said}
