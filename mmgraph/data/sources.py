"""Data by a word of the command line: ``digits``, ``planetoid:path/cora``."""

from __future__ import annotations

from collections.abc import Callable

from core.config import did_you_mean
from core.errors import UserError
from mmgraph.data.arrays import node_arrays
from mmgraph.data.digits import digits
from mmgraph.data.inductive import InductiveSet
from mmgraph.data.npy import npy
from mmgraph.data.ogb import ogb
from mmgraph.data.planetoid import planetoid
from mmgraph.data.ppi import ppi
from mmgraph.data.pyg_classes import pyg
from mmgraph.data.reddit import reddit
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.tu import tu, tu_attributes, tu_degrees
from mmgraph.data.tu_categories import tu_categories

LAYOUTS: dict[str, tuple[Callable[[str], NodeSet | GraphSet | InductiveSet], str]] = {
    "digits": (lambda path: digits(), "scikit-learn's handwritten digits as a graph of neighbours; needs no path"),
    "planetoid": (planetoid, "raw Planetoid files, features divided by their sum: planetoid:FOLDER/cora"),
    "planetoid_raw": (lambda path: planetoid(path, divide=False), "the same, features as they are"),
    "tu": (tu, "raw TUDataset files, labels of nodes, or degrees where there are none: tu:FOLDER/MUTAG"),
    "tu_degrees": (tu_degrees, "the same files with degrees as features"),
    "tu_attributes": (tu_attributes, "the same files with the attributes of nodes, numbers, as features"),
    "tu_categories": (tu_categories, "the same files with labels of nodes and edges as categories, for attr_masking"),
    "arrays": (node_arrays, "one .npz of an Amazon or Coauthor graph"),
    "ogb": (ogb, "raw files of a node set of the Open Graph Benchmark: ogb:FOLDER/ogbn_arxiv"),
    "ppi": (ppi, "raw files of PPI, graphs of nodes with several labels: ppi:FOLDER"),
    "reddit": (reddit, "raw files of Reddit, nodes to learn from and others to be scored on: reddit:FOLDER"),
    "npy": (npy, "a folder with x.npy, edge_index.npy and more, mapped into memory: npy:FOLDER"),
    "pyg": (pyg, "a class of torch_geometric.datasets whose files are there: pyg:CLASS:ROOT, or pyg:CLASS:ROOT/NAME"),
}


def load(source: str) -> NodeSet | GraphSet | InductiveSet:
    """The graph or graphs that a source word names.

    Args:
        source: ``digits``, or ``layout:path``.

    Raises:
        UserError: an unknown layout, and what its loader raises.
    """
    name, _, path = source.partition(":")
    if name not in LAYOUTS:
        raise UserError(f"data {source!r}: no such layout{did_you_mean(name, LAYOUTS)}")
    if name == "digits" and path:
        raise UserError(f"data {source!r}: digits is built in and takes no path")
    if name != "digits" and not path:
        raise UserError(f"data {source!r}: where is it? Write {name}:path/to/it")
    return LAYOUTS[name][0](path)
