"""Graph isomorphism network whose edges have categories."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from core.batchnorm import BatchNorm
from core.dropout import dropout
from mmgraph.layers.categories import CategoryEmbedding
from mmgraph.ops import Pattern, aggregate


class EdgeGINLayer(nn.Module):
    """Sum over incoming edges of the source plus the edge's embedding, then an MLP C - 2C - C with ReLU: (T, C) -> (T, C).

    A node's own self-loop is one of its edges and has a category of its own; there is no (1 + epsilon).

    Args:
        dim: width C.
        sizes: categories of every column of the edges, self-loop and mask token among them; none for edges without
            categories.
        out: width of what it gives; C where none is given.

    Shapes: ``forward(x, edges, counts)``: ``edges`` a (T, T) pattern with self-loops, ``counts`` (T, K) incoming edges of
    each category (:func:`~mmgraph.layers.categories.count_edges`), None where ``sizes`` is empty.

    Source: Hu et al., "Strategies for Pre-training Graph Neural Networks", Appendix A; GINConv in chem/model.py of its
    official code.
    """

    def __init__(self, dim: int, sizes: Sequence[int], out: int | None = None) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, 2 * dim)
        self.outer = nn.Linear(2 * dim, dim if out is None else out)
        self.edges = CategoryEmbedding(sizes, dim)

    def forward(self, x: Tensor, edges: Pattern, counts: Tensor | None) -> Tensor:
        summed = aggregate(edges, x)
        if counts is not None:
            summed = summed + counts @ self.edges.table
        return self.outer(F.relu(self.inner(summed)))


class EdgeGIN(nn.Module):
    """A stack of :class:`EdgeGINLayer` with batch norm after each, ReLU between them, dropout: (T, C) -> (T, C).

    The embeddings are those of the last layer, without ReLU.

    Source: GNN in chem/model.py of pretrain-gnns, with JK "last".
    """

    def __init__(self, dim: int, depth: int, sizes: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EdgeGINLayer(dim, sizes) for _ in range(depth))
        self.norms = nn.ModuleList(BatchNorm(dim) for _ in range(depth))
        self.dropout = dropout

    def forward(self, x: Tensor, edges: Pattern, counts: Tensor | None) -> Tensor:
        last = len(self.layers) - 1
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = norm(layer(x, edges, counts))
            x = dropout(x if number == last else F.relu(x), self.dropout, self.training)
        return x
