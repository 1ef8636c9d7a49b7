"""A transformer over the nodes of each graph of a batch, whose attention knows how far nodes are from each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.transformer import Transformer
from mmgraph.layers.padding import Rows, pad, unpad
from mmgraph.structure import Structure


class DegreeEmbedding(nn.Module):
    """A learned vector for every in-degree and one for every out-degree: structure of T nodes -> (T, C).

    Degrees above ``largest`` share the last one.

    Source: Ying et al., "Do Transformers Really Perform Bad for Graph Representation?", Eq. 5 (centrality encoding).
    """

    def __init__(self, largest: int, dim: int) -> None:
        super().__init__()
        self.largest = largest
        self.incoming = nn.Embedding(largest + 1, dim)
        self.outgoing = nn.Embedding(largest + 1, dim)

    def forward(self, structure: Structure) -> Tensor:
        incoming, outgoing = (d.clamp(max=self.largest) for d in (structure.in_degree, structure.out_degree))
        return self.incoming(incoming) + self.outgoing(outgoing)


class GraphTransformer(nn.Module):
    """Self-attention among chosen nodes of each graph, with a bias by the length of the shortest path between two.

    Args:
        transformer: the blocks.
        cut: nodes without a path do not attend to each other; else the table's last row is their bias.

    Shapes: ``forward(tokens, chosen, offsets, structure, table)``: tokens (S, C) of the nodes ``chosen`` (S,), int64
    ascending, of a batch with ``offsets`` (B + 1,); ``table`` (R, H) has a row of biases, one a head, for each distance
    0 .. R - 2 (longer ones share the last of these) and one for no path. Gives (S, C). Paths are those of the whole
    graph, through nodes that were not chosen as well.

    Source: Ying et al., Eq. 6 (spatial encoding).
    """

    def __init__(self, transformer: Transformer, cut: bool) -> None:
        super().__init__()
        self.transformer = transformer
        self.cut = cut

    def forward(self, tokens: Tensor, chosen: Tensor, offsets: Tensor, structure: Structure, table: Tensor) -> Tensor:
        groups = pad(chosen, offsets)
        rows = [self.transformer(tokens[g.token], bias=self.bias(g, structure, table)) for g in groups]
        return unpad(groups, rows)

    def bias(self, rows: Rows, structure: Structure, table: Tensor) -> Tensor:
        """(B, H, N, N), -inf towards padding."""
        distance = structure.distance[rows.pair].long()
        nowhere = distance < 0
        last = len(table) - 1
        bias = F.embedding(torch.where(nowhere, last, distance.clamp(max=last - 1)), table)
        closed = ~rows.real[:, None, :] | nowhere if self.cut else (~rows.real)[:, None, :].expand_as(nowhere)
        return bias.masked_fill(closed.unsqueeze(-1), -torch.inf).permute(0, 3, 1, 2).contiguous()
