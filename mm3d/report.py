"""What a run looks like: curves, reconstructions and tables on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from core.random import generator
from core.reporting.curves import plot_curves
from core.reporting.page import Page
from core.reporting.tables import Table
from core.training.run import RunFolder
from mm3d.config import PointsConfig
from mm3d.data.clouds import PointClouds
from mm3d.data.samples import evaluation_batch
from mm3d.pictures import plot_reconstruction, reconstruction_figure
from mm3d.rows import Row

AXES = "xyz"


def reconstructions(
    model: Any, clouds: PointClouds, indices: Sequence[int], config: PointsConfig, seed: int = 0
) -> Sequence[Row]:
    """What a model makes of some clouds; each cloud's mask depends on (seed, its index) alone."""
    model.eval()
    points = evaluation_batch(clouds, indices, config).points
    randomness = [generator(seed, index, "look") for index in indices]
    return model.look(points, [clouds.names[index] for index in indices], randomness)


def write_report(
    folder: RunFolder,
    model: Any,
    clouds: PointClouds,
    config: PointsConfig,
    tables: Sequence[tuple[str, Table, str]] = (),
    pictures: Sequence[tuple[str, Path, str]] = (),
    count: int = 4,
    title: str = "",
) -> Path:
    """Write ``report.html`` with ``curves.png`` and ``reconstruction.png`` into a run folder.

    Args:
        model: what :class:`mm3d.looks.Looks` answers for.
        clouds: what is reconstructed; ``count`` of them, evenly spread.
        tables: (heading, table, caption) that stand before the curves.
        pictures: (heading, PNG, caption) that stand after them.
        title: of the page; the folder's name where none is given.
    """
    indices = torch.linspace(0, len(clouds) - 1, min(count, len(clouds))).long().tolist()
    rows = reconstructions(model, clouds, indices, config)
    up = AXES[config.up_axis]
    page = Page(f"{type(model).__name__}: {title or folder.path.resolve().name}")
    page.add_heading("Reconstruction")
    picture = plot_reconstruction(rows, folder.path / "reconstruction.png", up=up)
    page.add_image(picture, model.shown())
    page.add_figure(
        reconstruction_figure(rows[0], up=up), "The first of them, to turn with the mouse.", turn_together=True
    )
    for heading, table, caption in tables:
        page.add_heading(heading)
        page.add_table(table, caption)
    if folder.metrics.exists():
        page.add_heading("Training")
        page.add_image(plot_curves(folder.metrics, folder.path / "curves.png"))
    for heading, path, caption in pictures:
        page.add_heading(heading)
        page.add_image(path, caption)
    page.add_heading("Settings")
    page.add_code((folder.path / "config.yaml").read_text())
    return page.write(folder.path / "report.html")
