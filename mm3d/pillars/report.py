"""What a run on pillars looks like: pictures from above, how near predicted points are, curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from core.random import generator
from core.reporting.curves import plot_curves
from core.reporting.page import Page
from core.reporting.tables import Table
from core.training.run import RunFolder
from mm3d.data.pillar_samples import PillarSamples
from mm3d.layers.pillars import PillarBatch
from mm3d.models.geomae import GeoMAE
from mm3d.models.voxel_mae_hess import HessVoxelMAE
from mm3d.ops import knn
from mm3d.pillars.pictures import PillarPicture, plot_pillars, turning_points

PillarModel = HessVoxelMAE | GeoMAE


def pillar_pictures(
    model: PillarModel, samples: PillarSamples, indices: Sequence[int], seed: int = 0
) -> list[PillarPicture]:
    """What a model makes of some sweeps, whole and not augmented; a mask depends on (seed, the sweep's index) alone."""
    model.eval()
    device = next(model.parameters()).device
    rows = []
    for index in indices:
        batch = samples.collate([samples.whole(index)])
        mask = model.draw_mask(batch, [generator(seed, index, "look")])
        made = model.reconstruct(PillarBatch(*(part.to(device) for part in batch)), mask)
        points = [part[0].cpu().numpy() for part in (made.visible, made.hidden, made.predicted)]
        rows.append(PillarPicture(points[0], points[1], points[2], Path(samples.sweeps.names[index]).name))
    return rows


def nearness_table(rows: Sequence[PillarPicture]) -> Table:
    """Median distance in metres from a point of a hidden pillar to the nearest predicted and to the nearest shown one."""
    found = []
    for row in rows:
        visible, hidden, predicted = (torch.from_numpy(points) for points in row[:3])
        found.append((row.title, len(hidden), _median(hidden, predicted), _median(hidden, visible)))
    return Table(("sweep", "hidden points", "to the nearest predicted (m)", "to the nearest shown (m)"), found)


def _median(points: Tensor, others: Tensor) -> float | None:
    if not len(points) or not len(others):
        return None
    return float(knn(points[None], others[None], 1)[0].sqrt().median())


def write_pillar_report(folder: RunFolder, model: PillarModel, samples: PillarSamples, count: int = 3) -> Path:
    """Write ``report.html`` with ``curves.png`` and ``reconstruction.png`` into a run folder.

    Args:
        samples: of which ``count`` sweeps, evenly spread, are shown.
    """
    indices = torch.linspace(0, len(samples) - 1, min(count, len(samples))).long().tolist()
    rows = pillar_pictures(model, samples, indices)
    page = Page(f"{type(model).__name__}: {folder.path.resolve().name}")
    page.add_heading("Reconstruction")
    page.add_image(
        plot_pillars(rows, samples.grid, folder.path / "reconstruction.png"),
        "From above: points of pillars that were shown (blue) and of hidden ones (grey), and what was predicted (orange).",
    )
    page.add_figure(turning_points(rows[0]), "The first of them, to turn with the mouse.", turn_together=True)
    page.add_heading("Predicted against true")
    page.add_table(
        nearness_table(rows),
        "Medians over the points of hidden pillars. The nearest shown point is what is known without predicting.",
    )
    if folder.metrics.exists():
        page.add_heading("Training")
        page.add_image(plot_curves(folder.metrics, folder.path / "curves.png"))
    page.add_heading("Settings")
    page.add_code((folder.path / "config.yaml").read_text())
    return page.write(folder.path / "report.html")
