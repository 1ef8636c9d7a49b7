"""Graph classification sets as the raw TUDataset files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from core.errors import UserError
from mmgraph.data.degrees import one_hot_degrees
from mmgraph.data.needs import torch_geometric
from mmgraph.data.sets import GraphSet
from mmgraph.graph import Graphs


def tu(path: str | Path) -> GraphSet:
    """A set of small graphs; features are one-hot node labels, or one-hot degrees (at most 400) where there are none.

    Args:
        path: the folder NAME of the ``NAME_*.txt`` files, or the one above its ``raw``.

    Raises:
        UserError: files that are missing or not readable.

    Source: Morris et al., "TUDataset"; features as in GraphMAE's official code.
    """
    path = Path(path)
    folder = tu_folder(path)
    read = torch_geometric("io").read_tu_data
    try:
        data, slices, sizes = read(str(folder), path.name)
    except Exception as error:  # a text file can be wrong in every way
        raise UserError(f"{folder}: cannot be read ({type(error).__name__}: {error})") from error
    if "y" not in slices:
        raise UserError(f"{folder}: no {path.name}_graph_labels.txt; expected a class for every graph")
    if data.y.is_floating_point():
        raise UserError(f"{folder}: its graphs have numbers to predict; expected a class for every graph")
    indicator = np.loadtxt(folder / f"{path.name}_graph_indicator.txt", dtype=np.int64)
    nodes = np.bincount(indicator - 1, minlength=len(slices["y"]) - 1)
    starts = slices["edge_index"].tolist()
    edges = [data.edge_index[:, a:b] for a, b in pairwise(starts)]
    if sizes["num_node_labels"]:
        labels = data.x[:, sizes["num_node_attributes"] :].float()
        if len(labels) != len(indicator):
            raise UserError(f"{folder}: {len(labels)} labels of nodes for {len(indicator)} nodes")
        features = list(labels.split(nodes.tolist()))
    else:
        features = one_hot_degrees(edges, nodes.tolist())
    graphs = tuple(Graphs(x, e) for x, e in zip(features, edges, strict=True))
    return GraphSet(path.name, graphs, data.y.numpy())


def tu_folder(path: Path) -> Path:
    """The folder of the raw files: the path itself, or ``raw`` in it.

    Raises:
        UserError: no NAME_A.txt in either.
    """
    folder = next((p for p in (path, path / "raw") if (p / f"{path.name}_A.txt").is_file()), None)
    if folder is None:
        raise UserError(f"{path}: no {path.name}_A.txt in it; expected the raw files of a TUDataset")
    return folder
