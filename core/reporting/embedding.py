"""Features of many samples as one picture in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.reporting.palette import FAINT, INK, class_style
from core.reporting.png import new_figure, save_png

TSNE_LIMIT = 3000


def plane(features: NDArray[np.floating], seed: int = 0) -> tuple[NDArray[np.float64], str]:
    """Two coordinates a sample, (N, 2), and the name of the method.

    Standardised features are reduced by PCA to at most 50 directions and these by t-SNE (van der Maaten and
    Hinton 2008; seeded, started from PCA). Fewer than 10 or more than 3,000 samples keep the first two
    principal directions.

    Raises:
        UserError: features that are not finite, or fewer than two samples.
    """
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2:
        raise UserError(f"features {x.shape}: expected (N, D) with at least two rows")
    bad = int((~np.isfinite(x).all(axis=1)).sum())
    if bad:
        raise UserError(f"features: NaN or infinite in {bad} of {len(x)} rows; expected finite features")
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    left, scale, _ = np.linalg.svd(x, full_matrices=False)
    reduced = (left * scale)[:, :50]
    if len(x) < 10 or len(x) > TSNE_LIMIT:
        flat = np.zeros((len(x), 2))
        flat[:, : min(2, reduced.shape[1])] = reduced[:, :2]
        return flat, "PCA"
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    start = reduced[:, :2] if reduced.shape[1] > 1 else np.column_stack([reduced, np.zeros(len(x))])
    start = start / max(float(start[:, 0].std()), 1e-12) * 1e-4
    perplexity = min(30.0, (len(x) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init=start.astype(np.float32), random_state=seed, n_jobs=1)
    with threadpool_limits(1):  # threads that wait for each other cost more than they bring at this size
        return np.asarray(tsne.fit_transform(reduced), dtype=np.float64), "t-SNE"


def plot_embedding(
    features: NDArray[np.floating],
    labels: NDArray[np.integer],
    class_names: Sequence[str],
    out_png: str | Path,
    seed: int = 0,
) -> Path:
    """Draw every sample in the plane of :func:`plane`, coloured by class, with a legend.

    Args:
        features: (N, D) floating.
        labels: (N,) integers into ``class_names``; -1 = no label, drawn faint underneath.
        class_names: names of the classes. Up to 72 get a colour and marker of their own.
        out_png: the file to write.
        seed: of t-SNE.

    Raises:
        UserError: as :func:`plane`, or a label outside the classes.
    """
    labels = np.asarray(labels)
    if labels.shape != (len(features),):
        raise UserError(f"labels {labels.shape}: expected one for each of the {len(features)} rows of features")
    if labels.min() < -1 or labels.max() >= len(class_names):
        wrong = labels.min() if labels.min() < -1 else labels.max()
        raise UserError(f"labels: {wrong} is outside the {len(class_names)} classes")
    flat, method = plane(features, seed)
    present = [int(label) for label in np.unique(labels) if label >= 0]
    columns = -(-len(present) // 24)
    figure = new_figure(7.0 + 1.7 * columns, 6.2)
    axes = figure.add_axes((0.01, 0.01, 6.2 / (7.0 + 1.7 * columns), 0.93))
    size = float(np.clip(24000 / len(flat), 14, 60))
    without = labels < 0
    axes.scatter(flat[without, 0], flat[without, 1], s=size * 0.6, color=FAINT, linewidths=0)
    for label in present:
        colour, marker = class_style(label)
        points = flat[labels == label]
        axes.scatter(
            points[:, 0],
            points[:, 1],
            s=size,
            color=colour,
            marker=marker,
            linewidths=0.3,
            edgecolors="white",
            alpha=0.9,
            label=class_names[label],
        )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    axes.set_title(f"{len(flat):,} samples, {method}", fontsize=10, color=INK, loc="left")
    if present:
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            fontsize=7.5,
            frameon=False,
            ncols=columns,
            labelcolor=INK,
            borderaxespad=0.0,
            handletextpad=0.3,
            columnspacing=1.0,
        )
    return save_png(figure, out_png)
