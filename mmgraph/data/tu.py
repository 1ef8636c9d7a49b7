"""Graph classification sets as the raw TUDataset files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.categories import count_categories, one_hot
from mmgraph.data.degrees import one_hot_degrees
from mmgraph.data.sets import GraphSet
from mmgraph.data.tu_files import TUFiles, read_tu
from mmgraph.graph import Graphs


def tu(path: str | Path) -> GraphSet:
    """A set of small graphs; features are one-hot node labels, or one-hot degrees (at most 400) where there are none.

    Attributes of nodes are not looked at, as in the papers; :func:`tu_attributes` takes them. Edges are sorted by source and
    target; self-loops and repeated edges are left out.

    Args:
        path: the folder NAME of the ``NAME_*.txt`` files, or the one above its ``raw``.

    Raises:
        UserError: files that are missing, not readable or do not fit together.

    Source: Morris et al., "TUDataset"; features as in GraphMAE's official code.
    """
    files = read_tu(path)
    found = files.node_labels()
    if found is None:
        return _with(files, one_hot_degrees(files.edges, files.sizes))
    labels = torch.from_numpy(found)
    return _with(files, files.of_nodes(one_hot(labels, count_categories(labels))))


def tu_degrees(path: str | Path) -> GraphSet:
    """As :func:`tu`, with one-hot degrees (at most 400) whatever else there is."""
    files = read_tu(path)
    return _with(files, one_hot_degrees(files.edges, files.sizes))


def tu_attributes(path: str | Path) -> GraphSet:
    """As :func:`tu`; features are the numbers of NAME_node_attributes.txt as they are, without labels of nodes.

    Raises:
        UserError: as :func:`tu`, or there is no such file, or it has numbers that are not finite.
    """
    files = read_tu(path)
    attributes = files.node_attributes()
    if attributes is None:
        raise UserError(
            f"{files.file('node_attributes')}: not there, so that nodes have no attributes; "
            "tu: takes their labels or degrees"
        )
    return _with(files, files.of_nodes(torch.from_numpy(attributes)))


def _with(files: TUFiles, features: Iterable[Tensor]) -> GraphSet:
    graphs = tuple(Graphs(x, edges) for x, edges in zip(features, files.edges, strict=True))
    return GraphSet(files.name, graphs, files.classes)
