"""What a run on sweeps looks like: pictures from above, the masks it really drew, curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from core.random import generator
from core.reporting.curves import plot_curves
from core.reporting.page import Page
from core.reporting.tables import Table
from core.training.run import RunFolder
from mm3d.data.sweep_samples import SweepSamples
from mm3d.models.voxel_mae import VoxelMAE
from mm3d.voxels.masks import hidden_share
from mm3d.voxels.pictures import SweepPicture, hits, plot_sweeps, turning_figure


def pictures_of(model: VoxelMAE, samples: SweepSamples, indices: Sequence[int], seed: int = 0) -> list[SweepPicture]:
    """What a model makes of some sweeps, whole and not augmented; a mask depends on (seed, the sweep's index) alone."""
    model.eval()
    device = next(model.parameters()).device
    mask_config = model.config.mask
    edges = mask_config.edges if mask_config.measure == "metres" else ()
    rows = []
    for index in indices:
        batch = samples.collate([samples.whole(index)])
        mask = model.draw_mask(batch, [generator(seed, index, "look")])
        made = model.reconstruct(type(batch)(*(part.to(device) for part in batch)), mask)
        cells = [part[:, 1:].cpu().numpy() for part in (made.visible, made.hidden, made.predicted)]
        rows.append(SweepPicture(cells[0], cells[1], cells[2], Path(samples.sweeps.names[index]).name, edges))
    return rows


def ring_table(model: VoxelMAE, samples: SweepSamples, count: int = 8, seed: int = 0) -> Table:
    """Voxels and the share that masks really hide, by ring, over the first sweeps."""
    chosen = range(min(count, len(samples)))
    batch = samples.collate([samples.whole(index) for index in chosen])
    mask = model.draw_mask(batch, [generator(seed, index, "look") for index in chosen])
    config = model.config.mask
    unit = "m" if config.measure == "metres" else "cells from the grid's corner"
    bounds = [0.0, *config.edges, float("inf")]
    found = hidden_share(mask, model.distance(batch), config.edges)
    rows = [
        (f"{low:g} to {high:g} {unit}", voxels, ratio, share if voxels else None)
        for low, high, ratio, (voxels, share) in zip(bounds, bounds[1:], config.ratios, found, strict=False)
    ]
    rows.append(("all", len(mask.hidden), None, float(mask.hidden.double().mean())))
    return Table(("ring", "voxels", "ratio asked for", "share hidden"), rows)


def write_voxel_report(
    folder: RunFolder,
    model: VoxelMAE,
    samples: SweepSamples,
    tables: Sequence[tuple[str, Table, str]] = (),
    count: int = 3,
    title: str = "",
) -> Path:
    """Write ``report.html`` with ``curves.png`` and ``reconstruction.png`` into a run folder.

    Args:
        samples: of which ``count`` sweeps, evenly spread, are shown.
        tables: (heading, table, caption) that stand before the curves.
        title: of the page; the folder's name where none is given.
    """
    indices = torch.linspace(0, len(samples) - 1, min(count, len(samples))).long().tolist()
    rows, grid = pictures_of(model, samples, indices), samples.grid
    page = Page(f"{type(model).__name__}: {title or folder.path.resolve().name}")
    page.add_heading("Reconstruction")
    picture = plot_sweeps(rows, grid, folder.path / "reconstruction.png")
    page.add_image(
        picture,
        "From above: voxels shown (blue) and hidden (grey); the cells found most probable among those not shown, as many "
        "as were hidden (orange); and which of these are hidden voxels.",
    )
    page.add_figure(turning_figure(rows[0], grid), "The first of them, to turn with the mouse.", turn_together=True)
    cells = grid.shape[0] * grid.shape[1] * grid.shape[2]
    shares = [(row.title, len(row.hidden), hits(row), len(row.hidden) / (cells - len(row.visible))) for row in rows]
    page.add_heading("Predicted against true")
    page.add_table(
        Table(("sweep", "hidden voxels", "of them found", "by chance"), shares),
        "Share of the hidden voxels among as many cells, those found most probable. Cells near shown voxels are easy.",
    )
    page.add_heading("What the masks hide")
    page.add_table(ring_table(model, samples), "Over the first sweeps. Rings are horizontal distances from the sensor.")
    for heading, table, caption in tables:
        page.add_heading(heading)
        page.add_table(table, caption)
    if folder.metrics.exists():
        page.add_heading("Training")
        page.add_image(plot_curves(folder.metrics, folder.path / "curves.png"))
    page.add_heading("Settings")
    page.add_code((folder.path / "config.yaml").read_text())
    return page.write(folder.path / "report.html")
