"""The page of a fine-tuning: scores, curves, settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.reporting.curves import plot_curves
from core.reporting.page import Page
from core.reporting.tables import Table
from core.training.run import RunFolder


def write_scores(folder: RunFolder, title: str, scores: Mapping[str, float]) -> Path:
    """Write ``result.json``, ``curves.png`` and ``report.html`` into the run folder of a finished fine-tuning.

    Args:
        title: of the page.
        scores: of the test part by name, and ``validation``, the score that selected the epoch.
    """
    folder.write_json("result.json", dict(scores))
    page = Page(title)
    page.add_heading("Scores")
    page.add_table(
        Table(("score", "value"), [(name.replace("_", " "), value) for name, value in scores.items()]),
        "Of the test part, scored once; the epoch was selected by the score called validation.",
    )
    page.add_heading("Training")
    page.add_image(plot_curves(folder.metrics, folder.path / "curves.png"))
    page.add_heading("Settings")
    page.add_code((folder.path / "config.yaml").read_text())
    return page.write(folder.path / "report.html")
