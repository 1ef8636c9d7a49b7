"""Node sets of the Open Graph Benchmark, from their raw files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from core.errors import UserError
from mmgraph.data.edges import both_ways
from mmgraph.data.scale import standardise
from mmgraph.data.sets import NodeSet
from mmgraph.data.tables import read_table
from mmgraph.graph import Graphs

FILES = ("num-node-list", "node-feat", "node-label", "edge")
SPLITS = ("train", "valid", "test")
EXPECTED = "a table of numbers"
STANDARDISED = ("ogbn_arxiv",)  # features to mean 0 and deviation 1 over all nodes, as GraphMAE's official code does


def ogb(path: str | Path) -> NodeSet:
    """One graph with the benchmark's own split, edges taken in both directions.

    Args:
        path: the folder of a node set, such as ``FOLDER/ogbn_arxiv``, with ``raw/{edge,node-feat,node-label,
            num-node-list}.csv.gz`` and ``split/NAME/{train,valid,test}.csv.gz``.

    Raises:
        UserError: files that are missing, not readable, or do not fit together.

    Of the benchmark's node sets these are ogbn-arxiv and ogbn-products: the others have no features of nodes
    (ogbn-proteins), several types of nodes (ogbn-mag) or are packed as arrays (ogbn-papers100M).

    Source: Hu et al., "Open Graph Benchmark"; features of ogbn-arxiv standardised as in GraphMAE.
    """
    path = Path(path)
    raw = path / "raw"
    missing = [name for name in FILES if not (raw / f"{name}.csv.gz").is_file()]
    if missing:
        raise UserError(
            f"{raw}/{missing[0]}.csv.gz: not there; expected a set with features of nodes and one class a node, "
            "such as ogbn_arxiv or ogbn_products"
        )
    nodes = int(read_table(raw / "num-node-list.csv.gz", np.int64, EXPECTED)[0, 0])
    x = read_table(raw / "node-feat.csv.gz", np.float32, EXPECTED)
    labels = read_table(raw / "node-label.csv.gz", np.float32, EXPECTED)  # may be nan where a node has none
    edges = read_table(raw / "edge.csv.gz", np.int64, EXPECTED)
    if len(x) != nodes:
        raise UserError(f"{raw}/node-feat.csv.gz: {len(x)} rows for {nodes} nodes (num-node-list.csv.gz)")
    if labels.shape != (nodes, 1):
        raise UserError(f"{raw}/node-label.csv.gz: {labels.shape} labels for {nodes} nodes; expected one a node")
    if edges.shape[1] != 2 or (edges.size and (edges.min() < 0 or edges.max() >= nodes)):
        raise UserError(f"{raw}/edge.csv.gz: expected two columns of nodes from 0 to {nodes - 1}")
    splits = [p for p in sorted((path / "split").glob("*")) if all((p / f"{s}.csv.gz").is_file() for s in SPLITS)]
    if len(splits) != 1:
        raise UserError(f"{path}/split: {len(splits)} folders with train, valid and test.csv.gz; expected one")
    parts = (torch.from_numpy(read_table(splits[0] / f"{s}.csv.gz", np.int64, EXPECTED).ravel()) for s in SPLITS)
    if path.name in STANDARDISED:
        standardise(x)
    graph = Graphs(torch.from_numpy(x), torch.from_numpy(both_ways(edges.T, nodes)))
    classes = torch.from_numpy(np.nan_to_num(labels[:, 0], nan=-1).astype(np.int64))
    return NodeSet(path.name, graph, classes, *parts)
