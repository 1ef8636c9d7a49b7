"""Node sets of the Open Graph Benchmark, from their raw files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import UserError
from mmgraph.data.edges import both_ways
from mmgraph.data.scale import standardise
from mmgraph.data.sets import NodeSet
from mmgraph.graph import Graphs

SPLITS = ("train", "valid", "test")
STANDARDISED = ("ogbn_arxiv",)  # features to mean 0 and deviation 1 over all nodes, as GraphMAE's official code does


def ogb(path: str | Path) -> NodeSet:
    """One graph with the benchmark's own split, edges taken in both directions.

    Args:
        path: the folder of a node set, such as ``FOLDER/ogbn_arxiv``, with ``raw/{edge,node-feat,node-label,
            num-node-list}.csv.gz`` and ``split/NAME/{train,valid,test}.csv.gz``.

    Raises:
        UserError: files that are missing, not readable, or do not fit together.

    Source: Hu et al., "Open Graph Benchmark"; features of ogbn-arxiv standardised as in GraphMAE.
    """
    path = Path(path)
    raw = path / "raw"
    (nodes,) = _numbers(raw / "num-node-list.csv.gz", np.int64).ravel()[:1].tolist() or [0]
    x = _numbers(raw / "node-feat.csv.gz", np.float32)
    labels = _numbers(raw / "node-label.csv.gz", np.float32)  # may be nan where a node has none
    edges = _numbers(raw / "edge.csv.gz", np.int64)
    if len(x) != nodes:
        raise UserError(f"{raw}/node-feat.csv.gz: {len(x)} rows for {nodes} nodes (num-node-list.csv.gz)")
    if labels.shape != (nodes, 1):
        raise UserError(f"{raw}/node-label.csv.gz: {labels.shape} labels for {nodes} nodes; expected one a node")
    if edges.shape[1] != 2 or (edges.size and (edges.min() < 0 or edges.max() >= nodes)):
        raise UserError(f"{raw}/edge.csv.gz: expected two columns of nodes from 0 to {nodes - 1}")
    splits = [p for p in sorted((path / "split").glob("*")) if all((p / f"{s}.csv.gz").is_file() for s in SPLITS)]
    if len(splits) != 1:
        raise UserError(f"{path}/split: {len(splits)} folders with train, valid and test.csv.gz; expected one")
    parts = (torch.from_numpy(_numbers(splits[0] / f"{s}.csv.gz", np.int64).ravel()) for s in SPLITS)
    if path.name in STANDARDISED:
        standardise(x)
    graph = Graphs(torch.from_numpy(x), torch.from_numpy(both_ways(edges.T, nodes)))
    classes = torch.from_numpy(np.nan_to_num(labels[:, 0], nan=-1).astype(np.int64))
    return NodeSet(path.name, graph, classes, *parts)


def _numbers(path: Path, kind: Any) -> np.ndarray:
    """All numbers of a table without header, (rows, columns)."""
    try:
        return np.loadtxt(path, dtype=kind, delimiter=",", ndmin=2)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not readable as a table of numbers ({error})") from error
