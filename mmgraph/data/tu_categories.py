"""Graph classification sets as the raw TUDataset files, with categories of nodes and edges in place of features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import UserError
from mmgraph.data.degrees import MAX_DEGREE
from mmgraph.data.sets import GraphSet
from mmgraph.data.tu import tu_folder
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
    path = Path(path)
    folder, name = tu_folder(path), path.name
    graph = _read(folder / f"{name}_graph_indicator.txt")[:, 0] - 1
    classes = _read(folder / f"{name}_graph_labels.txt")[:, 0]
    if (np.diff(graph) < 0).any() or graph[0] != 0 or graph[-1] >= len(classes):
        raise UserError(f"{folder / name}_graph_indicator.txt: expected graphs 1 to {len(classes)} in ascending order")
    sizes = np.bincount(graph, minlength=len(classes))
    source, target, edge_labels = _edges(folder, name, graph)
    node_labels = _labels(folder / f"{name}_node_labels.txt", len(graph), "nodes")
    if node_labels is None:
        node_labels = np.bincount(source, minlength=len(graph)).clip(max=MAX_DEGREE)[:, None]
    starts = np.concatenate([[0], sizes.cumsum()[:-1]])
    index = torch.from_numpy(np.stack([source, target]) - starts[graph[source]])
    counts = np.bincount(graph[source], minlength=len(classes)).tolist()
    nodes = torch.from_numpy(node_labels).split(sizes.tolist())
    edges = index.split(counts, 1)
    attributes = [None] * len(counts) if edge_labels is None else torch.from_numpy(edge_labels).split(counts)
    graphs = tuple(Graphs(x, e.contiguous(), edge_attr=a) for x, e, a in zip(nodes, edges, attributes, strict=True))
    return GraphSet(name, graphs, np.unique(classes, return_inverse=True)[1].reshape(-1))


def _edges(
    folder: Path, name: str, graph: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None]:
    """Sources, targets and labels (E, B), sorted by source and target."""
    file = folder / f"{name}_A.txt"
    pairs = _read(file) - 1
    if pairs.shape[1] != 2 or pairs.min() < 0 or pairs.max() >= len(graph):
        raise UserError(f"{file}: expected two of the nodes 1 to {len(graph)} a line")
    if (graph[pairs[:, 0]] != graph[pairs[:, 1]]).any():
        raise UserError(f"{file}: an edge joins two graphs; expected edges inside of graphs")
    labels = _labels(folder / f"{name}_edge_labels.txt", len(pairs), "edges")
    _, first = np.unique(pairs[:, 0] * len(graph) + pairs[:, 1], return_index=True)
    first = first[pairs[first, 0] != pairs[first, 1]]
    return pairs[first, 0], pairs[first, 1], None if labels is None else labels[first]


def _labels(file: Path, count: int, of: str) -> NDArray[np.int64] | None:
    """Columns of labels as categories from 0 on, or None where there is no such file."""
    if not file.is_file():
        return None
    labels = _read(file)
    if len(labels) != count:
        raise UserError(f"{file}: {len(labels)} lines for {count} {of}; expected one each")
    return labels - labels.min(0)


def _read(file: Path) -> NDArray[np.int64]:
    """A text file of whole numbers with commas between them: (lines, columns)."""
    try:
        found = np.loadtxt(file, dtype=np.int64, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not readable as whole numbers with commas between them ({error})") from error
    if found.size == 0:
        raise UserError(f"{file}: empty; expected whole numbers with commas between them")
    return found
