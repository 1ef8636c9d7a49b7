"""One graph as a folder of .npy files, which are mapped into memory and never read whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.data.inductive import PARTS
from mmgraph.data.sets import NodeSet
from mmgraph.data.splits import split_nodes
from mmgraph.graph import Graphs

SHAPES = {"x": 2, "edge_index": 2, "edge_attr": 2, "edge_weight": 1, "labels": 1, **dict.fromkeys(PARTS, 1)}


def npy(path: str | Path, seed: int = 0) -> NodeSet:
    """A graph of any size. What is not there is left out; nodes with labels and no split are split at random.

    Args:
        path: a folder with ``x.npy`` (T, F) float32, or int64 where they are categories, ``edge_index.npy`` (2, E) int64,
            directed; optional ``edge_attr.npy`` (E, B) int64, ``edge_weight.npy`` (E,) float32, ``labels.npy`` (T,) int64, -1
            for none, and node indices ``train.npy``, ``val.npy``, ``test.npy``.
        seed: of a random split: 10 % train, 10 % val, 80 % test.

    Raises:
        UserError: an array that is missing, not readable or of another type.
    """
    path = Path(path)
    arrays = {name: _mapped(path / f"{name}.npy", dims) for name, dims in SHAPES.items()}
    x, edges, labels = arrays["x"], arrays["edge_index"], arrays["labels"]
    if x is None or edges is None:
        raise UserError(f"{path}: no {'x' if x is None else 'edge_index'}.npy in it; expected x.npy and edge_index.npy")
    if labels is None:
        labels = torch.full((len(x),), -1)
    found = [arrays[part] for part in PARTS]
    parts = [part for part in found if part is not None]
    if parts and len(parts) < len(PARTS):
        raise UserError(f"{path}: {len(parts)} of train.npy, val.npy and test.npy; expected all or none")
    try:
        graph = Graphs(x, edges, None, arrays["edge_attr"], edge_weight=arrays["edge_weight"])
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return NodeSet(path.name, graph, labels, *(parts or split_nodes(labels, seed)))


def write_npy(data: NodeSet, path: str | Path) -> None:
    """A graph as the folder that :func:`npy` reads."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    arrays = {"x": data.graph.x, "edge_index": data.graph.edge_index, "labels": data.labels}
    arrays |= {name: getattr(data, name) for name in PARTS}
    of_edges = {"edge_attr": data.graph.edge_attr, "edge_weight": data.graph.edge_weight}
    arrays |= {name: values for name, values in of_edges.items() if values is not None}
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array.numpy())


def _mapped(path: Path, dims: int) -> Tensor | None:
    if not path.is_file():
        return None
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)  # nothing is written back
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not readable as an array ({error})") from error
    kinds = {"x": (np.float32, np.int64), "edge_weight": (np.float32,)}.get(path.stem, (np.int64,))
    if array.ndim != dims or array.dtype not in kinds:
        wanted = " or ".join(np.dtype(kind).name for kind in kinds)
        raise UserError(f"{path}: {array.dtype} {array.shape}; expected {wanted} of {dims} dimensions")
    return torch.from_numpy(array)
