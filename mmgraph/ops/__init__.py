"""Sparse operators on the edges of graphs: one function each, the same on CPU and GPU."""

from mmgraph.ops.aggregate import aggregate
from mmgraph.ops.edge_softmax import edge_softmax
from mmgraph.ops.pattern import Pattern

__all__ = ["Pattern", "aggregate", "edge_softmax"]
