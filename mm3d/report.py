"""What a run looks like: curves, reconstructions and tables on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from core.random import generator
from core.reporting.curves import plot_curves
from core.reporting.page import Page
from core.reporting.tables import Table
from core.training.run import RunFolder
from mm3d.config import PointsConfig
from mm3d.data.clouds import PointClouds
from mm3d.data.samples import evaluation_batch
from mm3d.models.point_mae import PointMAE
from mm3d.pictures import PictureRow, plot_reconstruction, reconstruction_figure

AXES = "xyz"


def reconstructions(
    model: PointMAE, clouds: PointClouds, indices: Sequence[int], config: PointsConfig, seed: int = 0
) -> list[PictureRow]:
    """Input, visible and reconstructed points of some clouds; each cloud's mask depends on (seed, its index) alone."""
    model.eval()
    points = evaluation_batch(clouds, indices, config).points
    mask = model.draw_mask(points, [generator(seed, index, "look") for index in indices])
    made = model.reconstruct(points, mask)
    return [
        PictureRow(
            points[i].numpy(),
            made.visible[i].flatten(0, 1).numpy(),
            made.predicted[i].flatten(0, 1).numpy(),
            clouds.names[index],
        )
        for i, index in enumerate(indices)
    ]


def write_report(
    folder: RunFolder,
    model: PointMAE,
    clouds: PointClouds,
    config: PointsConfig,
    tables: Sequence[tuple[str, Table, str]] = (),
    pictures: Sequence[tuple[str, Path, str]] = (),
    count: int = 4,
    title: str = "",
) -> Path:
    """Write ``report.html`` with ``curves.png`` and ``reconstruction.png`` into a run folder.

    Args:
        clouds: what is reconstructed; ``count`` of them, evenly spread.
        tables: (heading, table, caption) that stand before the curves.
        pictures: (heading, PNG, caption) that stand after them.
        title: of the page; the folder's name where none is given.
    """
    indices = torch.linspace(0, len(clouds) - 1, min(count, len(clouds))).long().tolist()
    rows = reconstructions(model, clouds, indices, config)
    up = AXES[config.up_axis]
    page = Page(f"{type(model).__name__}: {title or folder.path.resolve().name}")
    seen = 1 - model.config.mask_ratio
    page.add_heading("Reconstruction")
    picture = plot_reconstruction(rows, folder.path / "reconstruction.png", up=up)
    page.add_image(
        picture, f"The network saw {seen:.0%} of the patches (blue) and gave the points of the others (orange)."
    )
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
