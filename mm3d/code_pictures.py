"""A vocabulary of patches as pictures: what codes look like, how often they occur, and shapes coloured by them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.quantizers import usage
from core.reporting.palette import CATEGORICAL, FAINT, INK, rgb
from core.reporting.png import new_figure, plain_axes, save_png
from mm3d.ops import knn
from mm3d.pictures import plot_clouds
from mm3d.rows import CodeRow

COLUMNS, ROWS = 8, 5  # of the grid of codes
PANEL = 130  # pixels of a code
TIMES = 4  # occurrences of a code that are drawn over each other


def code_colours(codebook: Tensor) -> NDArray[np.float64]:
    """A colour a code, alike for like codes: ranks along the three main directions of the codebook. (K, C) -> (K, 3)."""
    values = codebook.detach().double().cpu()
    centred = values - values.mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False)[2][:3]
    strongest = axes.abs().argmax(1, keepdim=True)
    places = (
        centred @ (axes * axes.gather(1, strongest).sign()).T
    )  # the sign of a direction is arbitrary, so it is fixed
    ranks = places.argsort(0).argsort(0).double() / max(len(values) - 1, 1)
    colours = torch.full((len(values), 3), 0.5, dtype=torch.float64)
    colours[:, : ranks.shape[1]] = 0.1 + 0.8 * ranks
    return colours.numpy()


def code_rows(
    points: Tensor, ids: Tensor, centers: Tensor, decoded: Tensor, colours: NDArray[np.float64], names: Sequence[str]
) -> list[CodeRow]:
    """Clouds whose points have the colour of the nearest patch's code.

    Args:
        points: (B, N, 3). ids: (B, G). centers: (B, G, 3). decoded: (B, G, K, 3), all on the CPU.
        colours: (codes, 3).
    """
    nearest = knn(points, centers, 1)[1][..., 0]
    rows = []
    for index, name in enumerate(names):
        of_patch = colours[ids[index].numpy()]
        rows.append(
            CodeRow(
                points[index].numpy(),
                of_patch[nearest[index].numpy()],
                decoded[index].flatten(0, 1).numpy(),
                of_patch.repeat(decoded.shape[2], axis=0),
                len(ids[index].unique()),
                ids.shape[1],
                name,
            )
        )
    return rows


def plot_codes(ids: Tensor, patches: Tensor, out_png: str | Path, up: str = "y") -> Path:
    """Draw the most used codes, each as what it decodes to in some of the places where it occurs.

    Args:
        ids: (B, G). patches: (B, G, K, 3) decoded points relative to the centres, on the CPU.
        out_png: the file to write.
        up: vertical axis of the data.
    """
    flat, shapes = ids.flatten(), patches.flatten(0, 1).numpy()
    counts = torch.bincount(flat)
    order = counts.argsort(descending=True, stable=True)[: COLUMNS * ROWS]
    shades = [rgb(colour) for colour in CATEGORICAL]
    panels = []
    for code in order[counts[order] > 0].tolist():
        places = (flat == code).nonzero().squeeze(1)
        places = places[torch.linspace(0, len(places) - 1, min(TIMES, len(places))).long()]
        points = np.concatenate([shapes[place] for place in places.tolist()])
        colours = np.repeat(np.array([shades[i % len(shades)] for i in range(len(places))]), shapes.shape[1], axis=0)
        panels.append((points, colours, f"{code}: {float(counts[code]) / len(flat):.1%}"))
    grid = [panels[start : start + COLUMNS] for start in range(0, len(panels), COLUMNS)]
    return plot_clouds(grid, out_png, up=up, panel=PANEL)


def plot_usage(counts: Tensor, out_png: str | Path) -> Path:
    """Draw how often each code occurs, most used first, beside equal use of all: (codes,) int64."""
    found = usage(counts)
    share = np.sort(counts.double().numpy())[::-1] / float(counts.sum())
    figure = new_figure(7.0, 3.2)
    axes = figure.subplots()
    used = share[share > 0]
    axes.fill_between(np.arange(1, len(used) + 1), used, used.min() / 2, step="mid", color=CATEGORICAL[0], alpha=0.35)
    axes.step(np.arange(1, len(used) + 1), used, where="mid", color=CATEGORICAL[0], linewidth=1.4)
    axes.axhline(1 / len(share), color=INK, linewidth=1, linestyle="--")
    axes.set_yscale("log")
    axes.set_xlim(0, len(share) + 1)
    axes.axvspan(len(used) + 0.5, len(share) + 1, color=FAINT, alpha=0.6, linewidth=0)
    axes.set_xlabel("codes, most used first (grey: not in use; dashed: all alike)", fontsize=9, color=INK)
    axes.set_title(
        f"share of the patches; {found.codes} of {len(share)} codes ({found.share:.0%}), perplexity {found.perplexity:.0f}",
        fontsize=10,
        color=INK,
        loc="left",
    )
    plain_axes(axes)
    figure.tight_layout()
    return save_png(figure, out_png)
