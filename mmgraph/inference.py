"""Embeddings of a graph whose embedding does not fit at once: one layer after the other, in blocks of nodes."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.data.neighbours import Neighbours
from mmgraph.graph import Graphs
from mmgraph.layers.encoder import GraphEncoder
from mmgraph.ops import Pattern

ENTRIES = 2**16  # edges of a block


@torch.no_grad()
def embed_in_blocks(model: Any, graph: Graphs, entries: int = ENTRIES) -> Tensor:
    """Embeddings of all nodes with nothing hidden, the same as of the whole graph up to rounding: (T, C) float32.

    A block is a range of nodes; a layer computes its rows from the rows before it of these nodes and of all their
    neighbours. Rows of both layers are in temporary files, mapped into memory: resident are the compressed rows of the
    edges and one block.

    Args:
        model: one with ``message_passing``, a :class:`~mmgraph.layers.encoder.GraphEncoder`.
        graph: on the CPU; its features may be a memory map.
        entries: most edges of a block; a node with more is a block of its own.

    Raises:
        UserError: a model that is not layers of message passing.

    Source: layer-wise inference as in Hu et al., "Open Graph Benchmark" (examples for ogbn-products).
    """
    encoder = getattr(model, "message_passing", None)
    if not isinstance(encoder, GraphEncoder):
        raise UserError(
            f"{type(model).__name__}: cannot embed a graph in blocks; expected layers of message passing, or sampling.roots 0"
        )
    encoder.eval()
    neighbours, device = Neighbours.of_graph(graph), next(encoder.parameters()).device
    x = graph.x
    for number in range(len(encoder.layers)):
        made: Tensor | None = None
        for first, last in neighbours.pieces(np.arange(len(neighbours)), entries):
            nodes, edges = block(neighbours, first, last)
            rows = encoder.stage(number, x[nodes].to(device), edges.to(device)).float().cpu()
            made = temporary(len(x), rows.shape[1]) if made is None else made
            made[first:last] = rows
        assert made is not None
        x = made
    return x


def block(neighbours: Neighbours, first: int, last: int) -> tuple[Tensor, Pattern]:
    """The nodes that a range of nodes listens to, itself included, (K,) int64, and its edges between positions in them.

    The last entry of every row is the node's self-loop, as in the pattern of the whole graph.
    """
    rows = np.arange(first, last)
    start = neighbours.start[first : last + 1] - neighbours.start[first] + np.arange(last - first + 1)
    entry = np.empty(start[-1], np.int64)
    loop = start[1:] - 1
    entry[loop] = rows
    others = np.ones(len(entry), bool)
    others[loop] = False
    entry[others] = neighbours.source[neighbours.start[first] : neighbours.start[last]]
    nodes, column = np.unique(entry, return_inverse=True)
    own = torch.from_numpy(np.searchsorted(nodes, rows))
    pattern = Pattern(torch.from_numpy(start), torch.from_numpy(column), len(nodes), own)
    return torch.from_numpy(nodes), pattern


def temporary(rows: int, width: int) -> Tensor:
    """A float32 tensor in a temporary file, which goes with the tensor."""
    with tempfile.TemporaryFile() as file:
        return torch.from_numpy(np.memmap(file, np.float32, "w+", shape=(rows, width)))
