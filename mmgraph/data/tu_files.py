"""The raw text files of a TUDataset, checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError
from mmgraph.data.tables import read_table

Ints = NDArray[np.int64]

FEW = 1000
"""Categories that even a tiny set may have, such as elements; a larger one has at most as many as nodes, or edges."""


@dataclass(frozen=True)
class TUFiles:
    """Graphs of a set: who is joined to whom, and the class of each. What else there is of nodes and edges is read when
    asked for.

    Attributes:
        folder: where ``NAME_*.txt`` are.
        name: NAME.
        graph: (T,) graph of every node, ascending from 0.
        classes: (B,) class of every graph from 0 on, in the order of their labels; -1 where graphs have numbers instead.
        source: (E,) nodes where edges begin; edges by source, then target, without self-loops and repetitions.
        target: (E,) nodes where they end.
        line: (E,) the line of NAME_A.txt, from 0, where each comes first.
        lines: of NAME_A.txt.
    """

    folder: Path
    name: str
    graph: Ints
    classes: Ints
    source: Ints
    target: Ints
    line: Ints
    lines: int

    @cached_property
    def sizes(self) -> list[int]:
        """Nodes of every graph."""
        return np.bincount(self.graph, minlength=len(self.classes)).tolist()

    @cached_property
    def edges(self) -> tuple[Tensor, ...]:
        """(2, E) of every graph, nodes counted from 0 in each."""
        starts = np.cumsum([0, *self.sizes[:-1]])
        index = torch.from_numpy(np.stack([self.source, self.target]) - starts[self.graph[self.source]])
        return tuple(edges.contiguous() for edges in index.split(self._counts, 1))

    def of_nodes(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Rows of all nodes (T, ...) by graph."""
        return rows.split(self.sizes)

    def of_edges(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Rows of all edges (E, ...) by graph."""
        return rows.split(self._counts)

    def node_labels(self) -> Ints | None:
        """(T, A) columns of NAME_node_labels.txt less their smallest; None where there is no such file."""
        return self._labels("node", len(self.graph))

    def edge_labels(self) -> Ints | None:
        """(E, B) the same of NAME_edge_labels.txt."""
        found = self._labels("edge", self.lines)
        return None if found is None else found[self.line]

    def node_attributes(self) -> NDArray[np.float32] | None:
        """(T, F) of NAME_node_attributes.txt; None where there is no such file.

        Raises:
            UserError: not as many lines as nodes, or a number that is not finite.
        """
        file = self.file("node_attributes")
        if not file.is_file():
            return None
        found = _rows(file, np.float32, "numbers with commas between them", len(self.graph), "nodes")
        bad = np.flatnonzero(~np.isfinite(found).all(1))
        if len(bad):
            raise UserError(
                f"{file}, line {bad[0] + 1}: NaN or infinite attributes, as of {len(bad)} of {len(found)} nodes; "
                "expected finite numbers"
            )
        return found

    def file(self, what: str) -> Path:
        """NAME_WHAT.txt."""
        return self.folder / f"{self.name}_{what}.txt"

    @cached_property
    def _counts(self) -> list[int]:
        return np.bincount(self.graph[self.source], minlength=len(self.classes)).tolist()

    def _labels(self, of: str, count: int) -> Ints | None:
        file = self.file(f"{of}_labels")
        if not file.is_file():
            return None
        labels = _rows(file, np.int64, WHOLE, count, f"{of}s")
        labels = labels - labels.min(0)
        if labels.min() < 0 or labels.max() >= max(count, FEW):  # below 0 where the difference does not fit into int64
            row = int(np.unravel_index(labels.view(np.uint64).argmax(), labels.shape)[0])
            raise UserError(
                f"{file}, line {row + 1}: a label far above the smallest of its column; expected at most "
                f"{max(count, FEW)} categories of {count} {of}s"
            )
        return labels


WHOLE = "whole numbers with commas between them"


def read_tu(path: str | Path) -> TUFiles:
    """The files of a set.

    Args:
        path: the folder NAME of the ``NAME_*.txt`` files, or the one above its ``raw``.

    Raises:
        UserError: files that are missing, not readable or do not fit together.

    Source: Morris et al., "TUDataset", and its README of the format.
    """
    path = Path(path)
    folder, name = _folder(path), path.name
    indicator = folder / f"{name}_graph_indicator.txt"
    graph = read_table(indicator, np.int64, WHOLE)[:, 0] - 1
    classes = _classes(folder, name, len(np.unique(graph)))
    if (np.diff(graph) < 0).any() or graph[0] != 0 or graph[-1] >= len(classes):
        raise UserError(f"{indicator}: expected graphs 1 to {len(classes)} in ascending order")
    file = folder / f"{name}_A.txt"
    pairs = read_table(file, np.int64, WHOLE) - 1
    if pairs.shape[1] != 2:
        raise UserError(f"{file}: {pairs.shape[1]} columns; expected two nodes a line")
    outside = np.flatnonzero(((pairs < 0) | (pairs >= len(graph))).any(1))
    if len(outside):
        one, other = pairs[outside[0]] + 1
        raise UserError(
            f"{file}, line {outside[0] + 1}: joins {one} and {other}; expected two of the nodes 1 to {len(graph)}"
        )
    across = np.flatnonzero(graph[pairs[:, 0]] != graph[pairs[:, 1]])
    if len(across):
        raise UserError(f"{file}, line {across[0] + 1}: an edge joins two graphs; expected edges inside of graphs")
    _, first = np.unique(pairs[:, 0] * len(graph) + pairs[:, 1], return_index=True)
    first = first[pairs[first, 0] != pairs[first, 1]]
    return TUFiles(folder, name, graph, classes, pairs[first, 0], pairs[first, 1], first, len(pairs))


def _folder(path: Path) -> Path:
    """The folder of the raw files: the path itself, or ``raw`` in it."""
    folder = next((p for p in (path, path / "raw") if (p / f"{path.name}_A.txt").is_file()), None)
    if folder is None:
        raise UserError(f"{path}: no {path.name}_A.txt in it; expected the raw files of a TUDataset")
    return folder


def _classes(folder: Path, name: str, graphs: int) -> Ints:
    """(B,) classes from 0 on; -1 for all, and a warning, in a set that has numbers to predict in their place."""
    file, numbers = folder / f"{name}_graph_labels.txt", folder / f"{name}_graph_attributes.txt"
    if not file.is_file() and numbers.is_file():
        warnings.warn(f"{numbers}: graphs have numbers, no classes; they are taken without labels", stacklevel=4)
        return np.full(graphs, -1)
    found = read_table(file, np.int64, WHOLE)
    if found.shape[1] != 1:
        raise UserError(f"{file}: {found.shape[1]} columns; expected one class a graph")
    return np.unique(found, return_inverse=True)[1].reshape(-1)


def _rows(file: Path, kind: type[np.generic], expected: str, count: int, of: str) -> NDArray[Any]:
    found = read_table(file, kind, expected)
    if len(found) != count:
        raise UserError(f"{file}: {len(found)} lines for {count} {of}; expected one each")
    return found
