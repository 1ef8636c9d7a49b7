"""Sweeps from above: what was hidden by range, and predicted against true occupancy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from core.errors import UserError
from core.reporting.page import Page
from core.reporting.palette import FAINT, INK, RECONSTRUCTED, VISIBLE, rgb
from core.reporting.png import DPI, new_figure, save_png
from mm3d.config.voxels import GridConfig
from mm3d.pictures import reconstruction_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 400  # pixels
HIDDEN, MISSED, WRONG = "#9AA5B1", "#CC79A7", "#D55E00"
COLUMNS = ("voxels of the sweep", "predicted for the rest", "predicted against true")


class SweepPicture(NamedTuple):
    """One sweep; indices of cells are (·, 3): z, y, x. ``edges`` are radii in metres, drawn as rings."""

    visible: np.ndarray
    hidden: np.ndarray
    predicted: np.ndarray
    title: str
    edges: tuple[float, ...] = ()


def plot_sweeps(rows: Sequence[SweepPicture], grid: GridConfig, out_png: str | Path) -> Path:
    """Draw one row a sweep, seen from above, x to the right and y up.

    Left: what was shown (blue) and hidden (grey). Middle: what was shown, and the cells found most probable (orange).
    Right: hidden cells that were predicted (orange), missed (pink), and predictions that are wrong (red).

    Raises:
        UserError: no rows.
    """
    if not rows:
        raise UserError("reconstructions: no sweeps to draw; expected at least one")
    height = PANEL * grid.shape[1] / grid.shape[2]
    figure = new_figure(3 * PANEL / DPI, (len(rows) * (height + 34) + 44) / DPI)
    full = figure.get_figheight() * DPI
    for number, row in enumerate(rows):
        top = number * (height + 34) + 30
        right = _cells(row.predicted) & _cells(row.hidden)
        missed, wrong = _cells(row.hidden) - right, _cells(row.predicted) - right
        panels = (
            ((row.hidden, HIDDEN), (row.visible, VISIBLE)),
            ((row.predicted, RECONSTRUCTED), (row.visible, VISIBLE)),
            ((_array(wrong), WRONG), (_array(missed), MISSED), (_array(right), RECONSTRUCTED)),
        )
        for column, parts in enumerate(panels):
            box = (column / 3 + 0.003, 1 - (top + height) / full, 1 / 3 - 0.006, height / full)
            axes = figure.add_axes(box)
            axes.imshow(from_above(parts, grid), origin="lower", extent=_extent(grid), interpolation="nearest")
            _rings(axes, row.edges)
            axes.set(xlim=_extent(grid)[:2], ylim=_extent(grid)[2:], xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set_color(FAINT)
            if number == 0:
                figure.text((column + 0.5) / 3, 1 - 10 / full, COLUMNS[column], ha="center", va="center", color=INK)
        share = len(row.hidden) / max(len(row.hidden) + len(row.visible), 1)
        said = f"{row.title}: {len(row.visible):,} voxels shown, {len(row.hidden):,} hidden ({share:.0%})"
        figure.text(0.006, 1 - (top + height + 12) / full, said, fontsize=8, color=INK, parse_math=False)
    _legend(figure)
    return save_png(figure, out_png)


def from_above(parts: Sequence[tuple[np.ndarray, str]], grid: GridConfig) -> np.ndarray:
    """An image (y, x, 3) of cells in colours; later parts lie over earlier ones."""
    image = np.ones((*grid.shape[1:], 3))
    for cells, colour in parts:
        image[cells[:, 1], cells[:, 2]] = rgb(colour)
    return image


def sweeps_page(rows: Sequence[SweepPicture], grid: GridConfig, out_html: str | Path) -> Path:
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
        page.add_figure(turning_figure(row, grid), _said(row), turn_together=True)
    return page.write(out_html)


def turning_figure(row: SweepPicture, grid: GridConfig, most: int = 12_000) -> go.Figure:
    """Voxels, what was shown, and this with the prediction, as 3-D scenes; at most so many cells of each."""
    parts = [_centres(_some(cells, most), grid) for cells in (row.visible, row.hidden, row.predicted)]
    visible, hidden, predicted = parts
    return reconstruction_figure((np.concatenate([visible, hidden]), visible, predicted, row.title), up="z")


def hits(row: SweepPicture) -> float:
    """Share of the hidden voxels among the predicted cells, of which there are as many."""
    return len(_cells(row.predicted) & _cells(row.hidden)) / max(len(row.hidden), 1)


def _said(row: SweepPicture) -> str:
    return (
        f"{len(row.visible):,} voxels were shown, {len(row.hidden):,} hidden; of as many cells that were found most "
        f"probable {hits(row):.0%} are hidden voxels."
    )


def _rings(axes: Axes, edges: Sequence[float]) -> None:
    from matplotlib.patches import Circle

    for radius in edges:
        axes.add_patch(Circle((0, 0), radius, fill=False, linewidth=0.7, linestyle="--", edgecolor=INK))
    axes.plot([0], [0], marker="^", markersize=4, color=INK, clip_on=True)


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    named = (("shown", VISIBLE), ("hidden", HIDDEN), ("predicted", RECONSTRUCTED), ("missed", MISSED), ("wrong", WRONG))
    dots = [Line2D([], [], marker="s", linestyle="", markersize=6, color=colour, label=name) for name, colour in named]
    figure.legend(
        handles=dots, loc="lower right", ncols=len(dots), frameon=False, fontsize=8, labelcolor=INK, handletextpad=0.2
    )


def _extent(grid: GridConfig) -> tuple[float, float, float, float]:
    return grid.low[0], grid.high[0], grid.low[1], grid.high[1]


def _centres(cells: np.ndarray, grid: GridConfig) -> np.ndarray:
    return (cells[:, ::-1] + 0.5) * np.array(grid.voxel_size) + np.array(grid.low)


def _some(cells: np.ndarray, most: int) -> np.ndarray:
    return cells[:: -(-len(cells) // most)] if len(cells) > most else cells


def _cells(indices: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, indices.tolist()))


def _array(cells: set[tuple[int, ...]]) -> np.ndarray:
    return np.array(sorted(cells), dtype=np.int64).reshape(-1, 3)
