"""Clouds as pictures: input, what the network saw, and what it made of that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.reporting.page import Page
from core.reporting.palette import INK, rgb
from core.reporting.png import DPI, new_figure, save_png
from mm3d.render import UP_AXES, render
from mm3d.rows import Part, PictureRow, Row, checked_rows, finite

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

PANEL = 360  # pixels


def plot_reconstruction(rows: Sequence[Row | tuple], out_png: str | Path, up: str = "y", azimuth: float = 35.0) -> Path:
    """Draw one row a shape, with the panels that it has: of a masked model the input, the visible points, and these with
    the reconstruction of the rest.

    The pictures of a row share centre, scale and view; given points are blue, reconstructed ones orange.

    Args:
        rows: of one kind (:mod:`mm3d.rows`); plain tuples with the fields of a :class:`PictureRow` will do.
        out_png: the file to write.
        up: vertical axis of the data.
        azimuth: degrees about it.

    Raises:
        UserError: no rows, an empty input, or coordinates that are not finite; names the row.
    """
    checked = checked_rows(rows)
    columns = [panel.title for panel in checked[0].panels()]
    figure = new_figure(len(columns) * PANEL / DPI, (len(checked) * (PANEL + 26) + 74) / DPI)
    for number, row in enumerate(checked):
        centre, radius = _frame(row.input)
        ground = float((row.input[:, "xyz".index(up)].min() - centre["xyz".index(up)]) / radius)
        for column, panel in enumerate(row.panels()):
            points = np.concatenate([(part.points - centre) / radius for part in panel.parts])
            colours = np.concatenate([_colours(part) for part in panel.parts])
            image = render(points, colours, PANEL, _ball(len(row.input)), azimuth, up=up, ground=ground)
            top = 40 + number * (PANEL + 26) + 26
            _place(figure, image, column * PANEL, top)
        _write(figure, row.title, 14, 40 + number * (PANEL + 26) + 13, size=9, weight="bold", align="left")
    for column, name in enumerate(columns):
        _write(figure, name, (column + 0.5) * PANEL, 22, size=12)
    bottom = figure.get_figheight() * DPI - 18
    entries = [(part.label, part.colour) for part in checked[0].panels()[-1].parts if isinstance(part.colour, str)]
    if entries:
        _legend(figure, entries, (len(columns) - 0.5) * PANEL, bottom)
    return save_png(figure, out_png)


def plot_clouds(
    grid: Sequence[Sequence[tuple[NDArray[np.floating], NDArray[np.floating] | str, str]]],
    out_png: str | Path,
    up: str = "y",
    azimuth: float = 35.0,
    panel: int = PANEL,
) -> Path:
    """Draw a grid of clouds, each fitted to its panel.

    Args:
        grid: rows of (points (N, 3), colours (N, 3) in [0, 1] or one ``#rrggbb``, title); rows may differ
            in length.
        out_png: the file to write.
        up: vertical axis of the data.
        azimuth: degrees about it.
        panel: side of a picture in pixels.

    Raises:
        UserError: an empty grid, an empty cloud, coordinates that are not finite.
        ValueError: another number of colours than points.
    """
    if not grid or not all(grid):
        raise UserError("pictures: no clouds to draw")
    figure = new_figure(max(map(len, grid)) * panel / DPI, len(grid) * (panel + 26) / DPI)
    for row, clouds in enumerate(grid):
        for column, (cloud, colour, title) in enumerate(clouds):
            points = finite(cloud, f"cloud {title or (row, column)}")
            colours = np.tile(rgb(colour), (len(points), 1)) if isinstance(colour, str) else np.asarray(colour)
            if colours.shape != points.shape:
                raise ValueError(f"cloud {title}: {colours.shape} colours for {points.shape} points")
            centre, radius = _frame(points)
            image = render((points - centre) / radius, colours, panel, _ball(len(points)), azimuth, up=up)
            _place(figure, image, column * panel, row * (panel + 26) + 26)
            _write(figure, title, (column + 0.5) * panel, row * (panel + 26) + 15, size=10 if panel > 200 else 8)
    return save_png(figure, out_png)


def reconstruction_figure(row: Row | tuple, up: str = "y") -> go.Figure:
    """The pictures of one shape as 3-D scenes.

    ``Page.add_figure(figure, turn_together=True)`` links their cameras.

    Raises:
        UserError: as :func:`plot_reconstruction`.
    """
    import plotly.graph_objects as go

    if up not in UP_AXES:
        raise ValueError(f"up axis {up!r}; expected one of {', '.join(UP_AXES)}")
    shape = checked_rows([row])[0]
    centre, radius = _frame(shape.input)
    hidden_axis = {"visible": False, "range": [-1.05, 1.05], "showspikes": False}
    scene = {
        "xaxis": hidden_axis, "yaxis": hidden_axis, "zaxis": hidden_axis, "aspectmode": "cube",
        "camera": {"up": {"x": 0, "y": 0, "z": 1}, "eye": {"x": 0.75, "y": 1.1, "z": 0.55}},
    }  # fmt: skip
    figure = go.Figure()
    seen: set[str] = set()
    panels = shape.panels()
    share = 1 / len(panels)
    for column, panel in enumerate(panels):
        name = f"scene{column + 1 if column else ''}"
        figure.update_layout({name: scene | {"domain": {"x": [column * share + 0.005, (column + 1) * share - 0.005]}}})
        for part in panel.parts:
            placed = ((part.points - centre) / radius).round(4).astype(np.float32)
            right, high, near = (placed[:, axis] for axis in UP_AXES[up])
            colour = part.colour if isinstance(part.colour, str) else _css(part.colour)
            # plotly's vertical is z: (near, right, up) keeps the handedness of (right, up, near)
            figure.add_scatter3d(
                x=near, y=right, z=high, scene=name, mode="markers", name=part.label, hoverinfo="skip",
                legendgroup=part.label, showlegend=bool(part.label) and part.label not in seen,
                marker={"size": 2.6 if len(shape.input) > 1500 else 3.4, "color": colour, "opacity": 1.0},
            )  # fmt: skip
            seen.add(part.label)
        figure.add_annotation(
            text=panel.title, x=(column + 0.5) * share, y=1.0, xref="paper", yref="paper", yanchor="bottom",
            showarrow=False, font={"size": 15},
        )  # fmt: skip
    figure.update_layout(
        height=430, margin={"l": 0, "r": 0, "t": 34, "b": 0}, paper_bgcolor="rgba(0,0,0,0)",
        font={"color": "#808890"}, legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": 0.0,
                                           "itemsizing": "constant"},
    )  # fmt: skip
    return figure


def reconstruction_page(
    rows: Sequence[Row | tuple], out_html: str | Path, title: str = "Reconstructions", up: str = "y"
) -> Path:
    """Write one self-contained page with a turning figure a shape.

    Raises:
        UserError: as :func:`plot_reconstruction`.
    """
    page = Page(title)
    page.add_text("Drag to turn, scroll to come closer; the views of a shape turn together.")
    for row in checked_rows(rows):
        page.add_heading(row.title)
        page.add_figure(reconstruction_figure(row, up), row.caption(), turn_together=True)
    return page.write(out_html)


def _colours(part: Part) -> NDArray[np.float64]:
    """(N, 3) colours of a part."""
    if isinstance(part.colour, str):
        return np.tile(rgb(part.colour), (len(part.points), 1))
    return np.asarray(part.colour, dtype=np.float64)


def _css(colours: NDArray[np.floating]) -> list[str]:
    return [f"rgb({r},{g},{b})" for r, g, b in (np.clip(colours, 0, 1) * 255).round().astype(int)]


def _frame(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Middle of the bounding box, and the largest distance from it (1 where all points are equal)."""
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    return centre, float(np.linalg.norm(points - centre, axis=1).max()) or 1.0


def _ball(count: int) -> float:
    """Radius of a ball: half the spacing of so many points on a surface like a sphere's, within reason."""
    return float(np.clip(0.8 / np.sqrt(max(count, 1)), 0.012, 0.04))


def _place(figure: Figure, image: NDArray[np.float64], left: float, top: float) -> None:
    """Put an image on the figure, pixel for pixel."""
    width, height = figure.get_figwidth() * DPI, figure.get_figheight() * DPI
    rows, columns = image.shape[:2]
    axes = figure.add_axes((left / width, 1 - (top + rows) / height, columns / width, rows / height))
    axes.imshow(image, interpolation="nearest", aspect="auto")
    axes.set_axis_off()


def _write(
    figure: Figure, text: str, x: float, y: float, size: int, weight: str = "normal", align: str = "center"
) -> None:
    width, height = figure.get_figwidth() * DPI, figure.get_figheight() * DPI
    figure.text(
        x / width, 1 - y / height, text, fontsize=size, fontweight=weight, color=INK, ha=align, va="center",
        parse_math=False,
    )  # fmt: skip


def _legend(figure: Figure, entries: Sequence[tuple[str, str]], x: float, y: float) -> None:
    """Dots with their meaning, centred at x."""
    width, height = figure.get_figwidth() * DPI, figure.get_figheight() * DPI
    from matplotlib.lines import Line2D

    dots = [
        Line2D([], [], marker="o", linestyle="", markersize=7, color=colour, label=name) for name, colour in entries
    ]
    figure.legend(
        handles=dots, loc="center", bbox_to_anchor=(x / width, 1 - y / height), ncols=len(dots),
        frameon=False, fontsize=9, labelcolor=INK, handletextpad=0.2, columnspacing=1.4,
    )  # fmt: skip


__all__ = ["PANEL", "PictureRow", "plot_clouds", "plot_reconstruction", "reconstruction_figure", "reconstruction_page"]
