"""Graphs of one .npz file: Amazon and Coauthor."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from core.errors import UserError
from mmgraph.data.edges import distinct
from mmgraph.data.sets import NodeSet
from mmgraph.data.splits import split_nodes
from mmgraph.graph import Graphs

FORMS = {
    ("x", "edge", "y"): "edge, x_indptr, x_indices, x_data, x_shape, y",
    ("attr", "adj", "labels"): "adj_*, attr_*, labels",
}
SPARSE = ("indptr", "indices", "data", "shape")
KNOWN = {"edge", "y", "labels", *(f"{name}_{part}" for name in ("x", "attr", "adj") for part in SPARSE)}


def node_arrays(path: str | Path, seed: int = 0) -> NodeSet:
    """One graph with sparse features and labels, made undirected, split at random: 10 % train, 10 % val, 80 % test.

    Args:
        path: an .npz with ``edge`` (2, E), features ``x_{indptr,indices,data,shape}`` and ``y``, or one of the
            gnn-benchmark form with ``adj_*``, ``attr_*`` and ``labels``.
        seed: of the split.

    Raises:
        UserError: a file that is missing, not readable, or lacks an array or has one of another kind.

    Source: Shchur et al., "Pitfalls of Graph Neural Network Evaluation" (the data).
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key in KNOWN}  # others may hold objects
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        said = str(error).partition(" If you trust")[0]  # numpy's advice to let the file run code
        raise UserError(f"{path}: not readable as an .npz of plain arrays ({said})") from error
    x_name, edge_name, y_name = ("attr", "adj", "labels") if "labels" in arrays else ("x", "edge", "y")
    edges_in = [f"adj_{part}" for part in SPARSE] if edge_name == "adj" else ["edge"]
    needed = [*(f"{x_name}_{part}" for part in SPARSE), *edges_in, y_name]
    missing = [key for key in needed if key not in arrays]
    if missing:
        expected = " (Amazon, Coauthor) or ".join(FORMS.values()) + " (gnn-benchmark)"
        raise UserError(f"{path}: no array {missing[0]!r}; expected {expected}")
    try:
        x = torch.from_numpy(_csr(arrays, x_name).toarray().astype(np.float32))
        edges = arrays[edge_name] if edge_name in arrays else np.stack(_csr(arrays, edge_name).nonzero())
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a sparse matrix ({error}); expected compressed rows") from error
    if edges.ndim != 2 or len(edges) != 2 or not np.issubdtype(edges.dtype, np.integer):
        raise UserError(f"{path}: edges {edges.dtype} of shape {edges.shape}; expected integers of shape (2, E)")
    if arrays[y_name].ndim != 1 or not np.issubdtype(arrays[y_name].dtype, np.integer):
        found = arrays[y_name]
        raise UserError(f"{path}: labels {found.dtype} of shape {found.shape}; expected integers, one a node")
    both = torch.from_numpy(distinct(np.concatenate([edges, edges[::-1]], 1)))
    labels = torch.from_numpy(arrays[y_name].astype(np.int64))
    graph = Graphs(x, both)
    return NodeSet(path.stem, graph, labels, *split_nodes(labels, seed))


def _csr(arrays: dict[str, np.ndarray], name: str) -> sparse.csr_matrix:
    parts = tuple(arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
    matrix = sparse.csr_matrix(parts, shape=tuple(arrays[f"{name}_shape"]))
    matrix.check_format(full_check=True)  # an index outside the shape would be written outside the array
    return matrix
