"""Training curves from the rows of ``metrics.jsonl``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.files import read_metrics
from core.reporting.palette import CATEGORICAL, INK
from core.reporting.png import new_figure, plain_axes, save_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG_RANGE = 50.0  # a positive curve that spans more than this is drawn on a logarithmic axis
SMOOTH_ABOVE = 100  # rows; longer losses get a running mean over their noise

# Panels in order, and the words that put a metric in one: the first panel with a word in the metric's name.
PANELS = (
    ("loss", ("loss",)),
    ("learning rate", ("lr", "learning_rate")),
    ("samples / s", ("samples_per_second", "samples_per_s", "samples/s", "throughput")),
    ("residues / s", ("residues_per_second",)),
    ("tokens / s", ("tokens_per_second",)),
    ("perplexity", ("perplexity",)),
    ("share of the codes in use", ("codes_share",)),
    ("chamfer", ("chamfer",)),
    ("score", ("accuracy", "miou", "iou", "auc", "spearman")),
)

Rows = Iterable[Mapping[str, Any]]


def series(rows: Rows) -> dict[str, tuple[list[float], list[float]]]:
    """Metric name to (x, y), both ascending in x, finite values only.

    x is the row's ``step``, else its ``epoch``, else its number. Nested objects count as ``outer/inner``.
    Where a resumed run wrote a step twice the later row wins.
    """
    points: dict[str, dict[float, float]] = {}
    for number, row in enumerate(rows):
        x = float(row.get("step", row.get("epoch", number)))
        for name, value in _flat(row):
            if name not in ("step", "epoch") and math.isfinite(value):
                points.setdefault(name, {})[x] = value
    return {name: (sorted(xy), [xy[x] for x in sorted(xy)]) for name, xy in points.items()}


def plot_curves(metrics: str | Path | Rows, out_png: str | Path) -> Path:
    """Draw the loss and its parts, learning rate, throughput and scores, one panel each, where logged.

    A panel whose values are all positive and span more than a factor of 50 gets a logarithmic axis.

    Args:
        metrics: the path of a ``metrics.jsonl``, or its rows.
        out_png: the file to write.

    Raises:
        UserError: as :func:`read_metrics`, or no metric that belongs to a panel.
    """
    rows = read_metrics(metrics) if isinstance(metrics, str | Path) else list(metrics)
    if not rows:
        raise UserError(f"{metrics}: no rows; expected metrics, one JSON object a line")
    panels: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for name, curve in series(rows).items():
        title = next((title for title, words in PANELS if _belongs(name, words)), None)
        if title:
            panels.setdefault(title, {})[name] = curve
    if not panels:
        raise UserError(
            f"{metrics if isinstance(metrics, str | Path) else 'metrics'}: no loss, learning rate, "
            "samples/s or score in any row"
        )
    drawn = [(title, panels[title]) for title, _ in PANELS if title in panels]
    figure = new_figure(4.2 * len(drawn) + 0.6, 3.3)
    by = "step" if any("step" in row for row in rows) else "epoch" if any("epoch" in row for row in rows) else "row"
    for axes, (title, curves) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        _draw(axes, title, curves)
        axes.set_xlabel(by, fontsize=9, color=INK)
    figure.tight_layout(pad=1.2, w_pad=2.0)
    return save_png(figure, out_png)


def _draw(axes: Axes, title: str, curves: dict[str, tuple[list[float], list[float]]]) -> None:
    names = sorted(curves, key=lambda name: (name != "loss", name))  # the total first
    for index, name in enumerate(names):
        x, y = curves[name]
        colour = CATEGORICAL[index % len(CATEGORICAL)]
        style = "-" if index < len(CATEGORICAL) else "--"
        marker = "o" if len(x) == 1 else None
        smooth = title == "loss" and len(y) > SMOOTH_ABOVE
        axes.plot(
            x,
            y,
            style,
            color=colour,
            linewidth=1.5,
            alpha=0.25 if smooth else 1.0,
            marker=marker,
            label=None if smooth else name,
        )
        if smooth:
            axes.plot(x, _running_mean(y), style, color=colour, linewidth=1.6, label=name)
    values = [value for _, y in curves.values() for value in y]
    if min(values) > 0 and max(values) > LOG_RANGE * min(values):
        axes.set_yscale("log")
    elif title == "samples / s":
        axes.set_ylim(bottom=0)
    axes.margins(x=0.02)
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    plain_axes(axes)
    if len(names) > 1:
        axes.legend(fontsize=7, frameon=False, labelcolor=INK, ncols=1 + len(names) // 9)


def _running_mean(y: list[float]) -> list[float]:
    """Mean of a window of a fiftieth of the curve around each value, cut at the ends."""
    reach = max(1, len(y) // 100)
    total = [0.0]
    for value in y:
        total.append(total[-1] + value)
    ends = [(max(0, i - reach), min(len(y), i + reach + 1)) for i in range(len(y))]
    return [(total[stop] - total[start]) / (stop - start) for start, stop in ends]


def _belongs(name: str, words: tuple[str, ...]) -> bool:
    """Long words match anywhere; a short one such as ``lr`` only as a whole piece between separators."""
    pieces = name.lower().replace("/", "_").replace(".", "_").split("_")
    return any(word in pieces if len(word) <= 4 and word != "loss" else word in name.lower() for word in words)


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, float]]:
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", float(value)
