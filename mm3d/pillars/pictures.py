"""Sweeps from above: points of pillars that were shown, true points of hidden ones, and predicted points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from core.errors import UserError
from core.reporting.page import Page
from core.reporting.palette import FAINT, INK, INPUT, RECONSTRUCTED, VISIBLE
from core.reporting.png import DPI, new_figure, save_png
from mm3d.config.pillars import PillarGridConfig
from mm3d.pictures import reconstruction_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

PANEL = 400  # pixels
COLUMNS = ("the sweep: shown and hidden", "shown, and predicted for the rest", "predicted over true")


class PillarPicture(NamedTuple):
    """One sweep, points (N, 3) in metres."""

    visible: np.ndarray
    hidden: np.ndarray
    predicted: np.ndarray
    title: str


def plot_pillars(rows: Sequence[PillarPicture], grid: PillarGridConfig, out_png: str | Path) -> Path:
    """Draw one row a sweep, seen from above, x to the right and y up.

    Left: points that were shown (blue) and hidden (grey). Middle: shown and predicted (orange). Right: predicted over the
    true points of hidden pillars.

    Raises:
        UserError: no rows.
    """
    if not rows:
        raise UserError("reconstructions: no sweeps to draw; expected at least one")
    height = PANEL * grid.shape[1] * grid.voxel_size[1] / (grid.shape[2] * grid.voxel_size[0])
    figure = new_figure(3 * PANEL / DPI, (len(rows) * (height + 34) + 24) / DPI)
    full = figure.get_figheight() * DPI
    for number, row in enumerate(rows):
        top = number * (height + 34) + 24
        panels = (
            ((row.hidden, INPUT), (row.visible, VISIBLE)),
            ((row.predicted, RECONSTRUCTED), (row.visible, VISIBLE)),
            ((row.hidden, INPUT), (row.predicted, RECONSTRUCTED)),
        )
        for column, parts in enumerate(panels):
            axes = figure.add_axes((column / 3 + 0.003, 1 - (top + height) / full, 1 / 3 - 0.006, height / full))
            for points, colour in parts:
                axes.scatter(points[:, 0], points[:, 1], s=0.5, c=colour, linewidths=0, rasterized=True)
            axes.set(xlim=(grid.low[0], grid.high[0]), ylim=(grid.low[1], grid.high[1]), xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set_color(FAINT)
            if number == 0:
                figure.text((column + 0.5) / 3, 1 - 12 / full, COLUMNS[column], ha="center", va="center", color=INK)
        figure.text(0.006, 1 - (top + height + 14) / full, said(row), fontsize=8, color=INK, parse_math=False)
    return save_png(figure, out_png)


def pillars_page(rows: Sequence[PillarPicture], out_html: str | Path) -> Path:
    """Write one self-contained page with a turning figure a sweep.

    Raises:
        UserError: no rows.
    """
    if not rows:
        raise UserError("reconstructions: no sweeps to draw; expected at least one")
    page = Page("Reconstructions")
    page.add_text("Drag to turn, scroll to come closer; the three views of a sweep turn together.")
    for row in rows:
        page.add_heading(row.title)
        page.add_figure(turning_points(row), said(row), turn_together=True)
    return page.write(out_html)


def turning_points(row: PillarPicture, most: int = 8_000) -> go.Figure:
    """All points, those that were shown, and these with the predicted ones, as 3-D scenes; at most so many of each."""
    visible, hidden, predicted = (some(points, most) for points in row[:3])
    return reconstruction_figure((np.concatenate([visible, hidden]), visible, predicted, row.title), up="z")


def some(points: np.ndarray, most: int) -> np.ndarray:
    """At most so many of some points, evenly taken."""
    return points[:: -(-len(points) // most)] if len(points) > most else points


def said(row: PillarPicture) -> str:
    """A line about a sweep."""
    return (
        f"{row.title}: {len(row.visible):,} points shown, {len(row.hidden):,} hidden, {len(row.predicted):,} predicted for "
        "hidden pillars"
    )
