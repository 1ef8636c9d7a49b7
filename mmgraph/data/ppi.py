"""The protein interactions of 24 human tissues (PPI), from their raw files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.data.edges import both_ways
from mmgraph.data.inductive import InductivePart, InductiveSet
from mmgraph.graph import Graphs


def ppi(path: str | Path) -> InductiveSet:
    """Graphs of tissues, 20 to learn from, 2 and 2 to be scored on; a node has several of 121 labels.

    Self-loops are removed, edges are taken in both directions. Features are as they are.

    Args:
        path: the folder of ``{train,valid,test}_{graph.json,feats.npy,labels.npy,graph_id.npy}``, or the one above its ``raw``.

    Raises:
        UserError: files that are missing, not readable, or do not fit together.

    Source: Hamilton et al., "Inductive Representation Learning on Large Graphs" (the data), as in GraphMAE's inductive runs.
    """
    path = Path(path)
    folder = next((p for p in (path, path / "raw") if (p / "train_graph.json").is_file()), None)
    if folder is None:
        raise UserError(f"{path}: no train_graph.json in it or in its raw; expected the raw files of PPI")
    return InductiveSet("ppi", *(_part(folder, name) for name in ("train", "valid", "test")))


def _part(folder: Path, name: str) -> InductivePart:
    x, labels, graph_of_node = (_array(folder / f"{name}_{what}.npy") for what in ("feats", "labels", "graph_id"))
    if not (x.ndim == labels.ndim == 2 and graph_of_node.ndim == 1 and len(x) == len(labels) == len(graph_of_node)):
        raise UserError(
            f"{folder}: {name}_feats {x.shape}, {name}_labels {labels.shape}, {name}_graph_id {graph_of_node.shape}; "
            "expected as many rows in each"
        )
    edges = _edges(folder / f"{name}_graph.json", len(x))
    graphs: list[Graphs] = []
    found: list[Tensor] = []
    for number in np.unique(graph_of_node):
        nodes = (graph_of_node == number).nonzero()[0]
        place = np.full(len(x), -1)
        place[nodes] = np.arange(len(nodes))
        own = place[edges]
        own = own[:, (own >= 0).all(0)]
        graphs.append(Graphs(torch.from_numpy(x[nodes].astype(np.float32)), torch.from_numpy(own)))
        found.append(torch.from_numpy(labels[nodes].astype(np.float32)))
    return InductivePart(tuple(graphs), tuple(found))


def _array(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not readable as an array ({error})") from error


def _edges(path: Path, nodes: int) -> np.ndarray:
    """(2, E) different edges, each in both directions, no self-loops."""
    try:
        content: Any = json.loads(path.read_text())
        pairs = [(link["source"], link["target"]) for link in content["links"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not readable as a graph with links ({type(error).__name__}: {error})") from error
    edges = np.array(pairs).reshape(-1, 2).T
    if edges.size and (edges.dtype.kind != "i" or edges.min() < 0 or edges.max() >= nodes):
        raise UserError(f"{path}: links to nodes that are not among the {nodes} of its features")
    return both_ways(edges, nodes)
