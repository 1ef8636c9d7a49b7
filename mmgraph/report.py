"""What a run looks like: embeddings, curves and tables on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.random import generator
from core.reporting.curves import plot_curves
from core.reporting.embedding import plot_embedding
from core.reporting.page import Page
from core.reporting.tables import Table
from core.training.run import RunFolder
from mmgraph.data.inductive import InductiveSet
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.embedding import embed_graphs, embed_nodes
from mmgraph.runs import ProbeConfig

SHOWN = 1000  # samples in the picture: more are a blot, and take t-SNE long
MOST_NODES = 200_000  # a larger graph is not embedded at once for a picture


def write_report(
    folder: RunFolder,
    model: Any,
    data: NodeSet | GraphSet | InductiveSet,
    config: ProbeConfig,
    tables: Sequence[tuple[str, Table, str]] = (),
    title: str = "",
) -> Path:
    """Write ``report.html`` with ``curves.png`` and, where there are labels, ``embedding.png`` into a run folder.

    Args:
        model: what the run trained.
        tables: (heading, table, caption) that stand first.
        title: of the page; the folder's name where none is given.
    """
    page = Page(f"{type(model).__name__}: {title or folder.path.resolve().name}")
    for heading, table, caption in tables:
        page.add_heading(heading)
        page.add_table(table, caption)
    if folder.metrics.exists():
        page.add_heading("Training")
        page.add_image(plot_curves(folder.metrics, folder.path / "curves.png"))
    picture = plot_classes(model, data, config, folder.path / "embedding.png")
    if picture is not None:
        what = "node" if isinstance(data, NodeSet) else "graph"
        page.add_heading("Embeddings")
        page.add_image(picture, f"Each point is a {what}, coloured by class; the network was never told the classes.")
    page.add_heading("Settings")
    page.add_code((folder.path / "config.yaml").read_text())
    return page.write(folder.path / "report.html")


def plot_classes(model: Any, data: NodeSet | GraphSet | InductiveSet, config: ProbeConfig, path: Path) -> Path | None:
    """Draw embeddings in the plane, coloured by class; of many samples :data:`SHOWN`. Nothing where there are no classes."""
    if isinstance(data, InductiveSet):
        return None
    labels = data.labels.numpy() if isinstance(data, NodeSet) else data.labels
    labelled = np.flatnonzero(labels >= 0)
    if not np.issubdtype(labels.dtype, np.integer) or len(labelled) < 2:
        return None
    order = torch.randperm(len(labelled), generator=generator(0, "shown")).numpy()[:SHOWN]
    chosen = np.sort(labelled[order])
    if isinstance(data, NodeSet):
        if len(data.graph.x) > MOST_NODES:
            return None
        embeddings = embed_nodes(model, data, config.sampling).numpy()[chosen]
    else:
        some = GraphSet(data.name, tuple(data.graphs[i] for i in chosen), np.full(len(chosen), -1))
        embeddings = embed_graphs(model, some, config.graphs).numpy()
    names = [str(number) for number in range(int(labels.max()) + 1)]
    return plot_embedding(embeddings, labels[chosen], names, path)
