"""Graph classification sets as the raw TUDataset files, with categories of nodes and edges in place of features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from mmgraph.data.degrees import MAX_DEGREE
from mmgraph.data.sets import GraphSet
from mmgraph.data.tu_files import read_tu
from mmgraph.graph import Graphs


def tu_categories(path: str | Path) -> GraphSet:
    """A set of small graphs whose nodes and edges have categories, one a column of their labels.

    ``x`` is int64: the columns of NAME_node_labels.txt less their smallest, or the degree (at most 400) where there are
    none. ``edge_attr`` is the same of NAME_edge_labels.txt, None where there are none. Self-loops and repeated edges are
    left out, of which the first counts. Edges are those of the layout ``tu``, and in its order.

    Args:
        path: the folder NAME of the ``NAME_*.txt`` files, or the one above its ``raw``.

    Raises:
        UserError: files that are missing, not readable or do not fit together.

    Source: Morris et al., "TUDataset", and its README of the format.
    """
    files = read_tu(path)
    labels, bonds = files.node_labels(), files.edge_labels()
    if labels is None:
        labels = np.bincount(files.source, minlength=len(files.graph)).clip(max=MAX_DEGREE)[:, None]
    nodes = files.of_nodes(torch.from_numpy(labels))
    attributes = [None] * len(nodes) if bonds is None else files.of_edges(torch.from_numpy(bonds))
    graphs = tuple(Graphs(x, e, edge_attr=a) for x, e, a in zip(nodes, files.edges, attributes, strict=True))
    return GraphSet(files.name, graphs, files.classes)
