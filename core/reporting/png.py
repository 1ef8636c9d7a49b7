"""Matplotlib through its object interface: no global figure, no display, no half-written file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from core.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of the given size in inches, on the Agg backend whatever the user's settings."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Figure, path: str | Path) -> Path:
    """Write the figure as PNG, atomically, creating its folder; (width * 120) x (height * 120) pixels."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})  # same figure, same bytes
    write_atomically(path, buffer.getvalue())
    return path


def plain_axes(axes: Axes) -> None:
    """Grid lines instead of a box."""
    from core.reporting.palette import FAINT, INK

    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.grid(True, color=FAINT, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=8, colors=INK, length=0)
