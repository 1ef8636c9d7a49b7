"""Cora, Citeseer and PubMed as the raw Planetoid files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError
from mmgraph.data.plain_pickle import SparseRows, load_plain_pickle
from mmgraph.data.sets import NodeSet
from mmgraph.data.tables import read_table
from mmgraph.graph import Graphs

VALIDATION = 500  # nodes after those that train


def planetoid(path: str | Path, divide: bool = True) -> NodeSet:
    """A citation graph with its public split; its nodes and edges in the order that torch_geometric gives them.

    The files are pickles. They are read without executing what they hold.

    Args:
        path: the folder of the ``ind.NAME.*`` files, or one above (``NAME/raw``), and the name: ``data/planetoid/cora``.
        divide: the features of each node by their sum, as GraphMAE does; MaskGAE and MGAE take them as they are.

    Raises:
        UserError: files that are missing, not readable or do not fit together.

    Source: Yang et al., "Revisiting Semi-Supervised Learning with Graph Embeddings"; the README of its repository says
    what the files hold.
    """
    path = Path(path)
    name = path.name.lower()
    places = (path.parent, path / "raw", path, path.parent / "raw")
    folder = next((p for p in places if (p / f"ind.{name}.graph").is_file()), None)
    if folder is None:
        raise UserError(
            f"{path}: no ind.{name}.graph beside or below it; expected FOLDER/NAME with the Planetoid files"
        )
    first = folder / f"ind.{name}"
    test = _test_index(folder / f"ind.{name}.test.index")
    features, answers = _nodes(first, test, "x"), _nodes(first, test, "y")
    x = torch.from_numpy(features).float()
    if divide:
        x = x / x.sum(1, keepdim=True).clamp(min=1e-12)
    train = len(_matrix(folder / f"ind.{name}.y"))
    parts = (torch.arange(train), torch.arange(train, train + VALIDATION), torch.from_numpy(np.sort(test)))
    if train + VALIDATION > len(x):
        raise UserError(f"{folder / f'ind.{name}.y'}: {train} nodes to train and {VALIDATION} more; there are {len(x)}")
    edges = _edges(folder / f"ind.{name}.graph", len(x))
    return NodeSet(name, Graphs(x, edges), torch.from_numpy(answers.argmax(1)), *parts)


def _test_index(file: Path) -> NDArray[np.int64]:
    """The nodes of the test part, one a line, in the order of the rows of ``tx``."""
    found = read_table(file, np.int64, "one whole number a line").ravel()
    if len(np.unique(found)) < len(found) or found.min() < 0:
        raise UserError(f"{file}: expected different numbers of nodes, one a line")
    return found


def _nodes(first: Path, test: NDArray[np.int64], what: str) -> NDArray:
    """Rows of all nodes: those of ``all...``, then those of ``t...`` at the places that the test index gives.

    Citeseer has numbers without a node between those of the test part: nodes without features, label and edges.
    """
    others, tested = (
        _matrix(first.with_name(f"{first.name}.all{what}")),
        _matrix(first.with_name(f"{first.name}.t{what}")),
    )
    if len(tested) != len(test) or others.shape[1] != tested.shape[1] or test.min() < len(others):
        raise UserError(
            f"{first}.t{what}: {tested.shape[0]} rows of {tested.shape[1]} for {len(test)} nodes after {len(others)} "
            f"others of {others.shape[1]}; expected the files of one graph"
        )
    rows = np.zeros((int(test.max()) + 1, others.shape[1]), dtype=others.dtype)
    rows[: len(others)] = others
    rows[test] = tested
    return rows


def _matrix(file: Path) -> NDArray:
    content = load_plain_pickle(file)
    made = content.dense() if isinstance(content, SparseRows) else content
    if not isinstance(made, np.ndarray) or made.ndim != 2 or not np.issubdtype(made.dtype, np.number):
        raise UserError(f"{file}: expected a matrix of numbers")
    return made


def _edges(file: Path, nodes: int) -> Tensor:
    """(2, E): every pair once, without self-loops, by target and then by source."""
    lists: Any = load_plain_pickle(file)
    try:
        source = np.repeat(np.fromiter(lists, np.int64), [len(found) for found in lists.values()])
        target = np.fromiter((node for found in lists.values() for node in found), np.int64)
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{file}: expected the neighbours of every node by its number") from error
    if len(source) == 0 or min(source.min(), target.min()) < 0 or max(source.max(), target.max()) >= nodes:
        raise UserError(f"{file}: expected edges between the nodes 0 to {nodes - 1}")
    key = np.unique((target * nodes + source)[source != target])
    return torch.from_numpy(np.stack([key % nodes, key // nodes]))
