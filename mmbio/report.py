"""What a run looks like: curves, what it tells right by token, and sequences with its predictions, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.reporting.curves import plot_curves
from core.reporting.page import Page
from core.reporting.tables import Table
from core.training.run import RunFolder
from mmbio.data.tokens import TokenData
from mmbio.models.masked_lm import MaskedLM
from mmbio.perplexity import LMScore, score_lm
from mmbio.pictures import held_out_rows, plot_rows
from mmbio.vocabulary import Vocabulary

SHOWN = 4  # sequences with predictions


def write_report(
    folder: RunFolder,
    model: Any,
    data: TokenData,
    tables: Sequence[tuple[str, Table, str]] = (),
    images: Sequence[tuple[str, Path, str]] = (),
    title: str = "",
) -> Path:
    """Write ``report.html`` with ``curves.png`` into a run folder.

    Args:
        model: what the run trained.
        data: sequences that were held out.
        tables: (heading, table, caption) that stand first.
        images: (heading, PNG, caption) that follow them.
        title: of the page; the folder's name where none is given.
    """
    page = Page(f"{type(model).__name__}: {title or folder.path.resolve().name}")
    for heading, table, caption in tables:
        page.add_heading(heading)
        page.add_table(table, caption)
    for heading, png, caption in images:
        page.add_heading(heading)
        page.add_image(png, caption)
    if folder.metrics.exists():
        page.add_heading("Training")
        page.add_image(plot_curves(folder.metrics, folder.path / "curves.png"))
    if isinstance(model, MaskedLM):
        add_predictions(page, folder, model, data)
    page.add_heading("Settings")
    page.add_code((folder.path / "config.yaml").read_text())
    return page.write(folder.path / "report.html")


def add_predictions(page: Page, folder: RunFolder, model: MaskedLM, data: TokenData) -> None:
    """What a language model tells right, by token, and sequences with its predictions."""
    score = score_lm(model, data)
    page.add_heading("Hidden tokens")
    page.add_table(
        token_table(score, model.vocabulary),
        f"Of {len(data)} sequences: {score.tokens:,} hidden tokens, perplexity {score.perplexity:.2f}, {score.accuracy:.1%} told "
        f"right; always naming the commonest would be right in {max(score.hidden) / score.tokens:.1%}.",
    )
    picture = plot_rows(held_out_rows(model, data, SHOWN), folder.path / "predictions.png")
    page.add_heading("Predictions")
    page.add_image(
        picture,
        "Grey: seen. Bold: hidden; green where the model named it, else black with what it named in red below.",
    )


def token_table(score: LMScore, vocabulary: Vocabulary) -> Table:
    """For every token that was hidden: how often, and how often it was told right; the commonest first."""
    found = [
        (n, right, token) for n, right, token in zip(score.hidden, score.right, vocabulary.tokens, strict=True) if n
    ]
    rows = [(token, n, f"{right / n:.3f}") for n, right, token in sorted(found, key=lambda row: (-row[0], row[2]))]
    return Table(("token", "hidden", "told right"), rows[:40])
