"""Categories of nodes and edges at the input of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate

import torch
from torch import Tensor, nn

from mmgraph.graph import Graphs


class CategoryEmbedding(nn.Module):
    """One table of embeddings for each column of categories; a node gets the sum of its rows: (T, A) int64 -> (T, C).

    Args:
        sizes: categories of every column, tokens among them.
        dim: width C.

    Source: x_embedding1 and x_embedding2 of pretrain-gnns (chem/model.py), initialised as there.
    """

    def __init__(self, sizes: Sequence[int], dim: int) -> None:
        super().__init__()
        columns = [nn.Embedding(size, dim) for size in sizes]
        for column in columns:
            nn.init.xavier_uniform_(column.weight)
        self.columns = nn.ModuleList(columns)

    @property
    def table(self) -> Tensor:
        """The rows of all columns, one column after the other: (K, C)."""
        return torch.cat([*self.parameters()])

    def forward(self, categories: Tensor) -> Tensor:
        rows = (column(of) for column, of in zip(self.columns, categories.unbind(1), strict=True))
        return reduce(torch.add, rows)  # one after the other: of many columns, all rows at once would not fit


def count_edges(graphs: Graphs, categories: Tensor, sizes: Sequence[int], loop: int) -> Tensor:
    """How many incoming edges of each category every node has: (T, K) float32.

    The sum of the embeddings of a node's edges is its row of counts times the table of embeddings, in every layer. So no
    tensor of edges x width is made, forwards or backwards.

    Args:
        graphs: edges whose source is their target do not count; every node has one self-loop instead.
        categories: (E, B) int64 in the order of the graphs' edges.
        sizes: categories of each of the B columns; K is their sum.
        loop: category of self-loops in the first column; in the others they have category 0.
    """
    source, target = graphs.edge_index
    kept = source != target
    before = categories.new_tensor([0, *accumulate(sizes)][:-1])
    total = sum(sizes)
    places = target[kept, None] * total + categories[kept] + before
    counts = torch.bincount(places.flatten(), minlength=len(graphs.x) * total).view(-1, total).float()
    own = before.clone()
    own[0] += loop
    counts[:, own] += 1
    return counts
