"""Attention along the rows and along the columns of alignments."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.dropout import dropout
from core.transformer import Mlp
from mmbio.alignments import Alignments


class AxialAttention(nn.Module):
    """Projections that attention along either axis has: (T, C) cells of a batch of alignments -> (T, C)."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"width {dim} is not divisible by {heads} heads")
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, batch: Alignments) -> Tensor:
        mixed = [self.mix(*part.unbind(2)).flatten(0, 1) for part in batch.split(self.queries(x))]
        return self.proj(torch.cat(mixed).flatten(1))

    def queries(self, x: Tensor) -> Tensor:
        """Queries, keys and values: (T, 3, H, D)."""
        return self.qkv(x).unflatten(-1, (3, self.heads, -1))

    def mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What one alignment's cells gather: (R, columns, H, D) each -> (R, columns, H, D)."""
        raise NotImplementedError

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, dropout_p=self.dropout if self.training else 0.0)


class RowAttention(AxialAttention):
    """Columns attend to columns, by one map that all rows share: the mean of products over rows, times the root of their number.

    With the rows' queries side by side as one long query this is plain attention: its scale, one over the root of R x D, is
    the published one.

    Source: Rao et al., "MSA Transformer", Section 3 (tied row attention, square root normalisation).
    """

    def mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        rows = query.shape[0]
        long = (t.permute(2, 1, 0, 3).flatten(2).unsqueeze(0) for t in (query, key, value))  # (1, H, columns, R * D)
        return self.attend(*long)[0].unflatten(2, (rows, -1)).permute(2, 1, 0, 3)

    def maps(self, x: Tensor, batch: Alignments) -> list[Tensor]:
        """The shared map of every alignment: (H, columns, columns), rows sum to 1. For looking at and for contacts."""
        found = []
        for part in batch.split(self.queries(x)):
            query, key, _ = part.unbind(2)
            scale = (query.shape[0] * query.shape[-1]) ** -0.5
            found.append((torch.einsum("rihd,rjhd->hij", query, key) * scale).softmax(-1))
        return found


class ColumnAttention(AxialAttention):
    """Rows attend to rows, each column for itself.

    Source: Rao et al., "MSA Transformer", Section 3; Ho et al., "Axial Attention in Multidimensional Transformers";
    esm/axial_attention.py of fair-esm for a single row.
    """

    def mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if len(query) == 1:  # a row by itself attends to itself alone; dropout of that weight would drop the values
            return value
        by_column = (t.permute(1, 2, 0, 3) for t in (query, key, value))  # (columns, H, R, D)
        return self.attend(*by_column).permute(2, 0, 1, 3)


class AxialBlock(nn.Module):
    """x + rows(norm(x)), then x + columns(norm(x)), then x + mlp(norm(x)), each branch under dropout."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm_rows = nn.LayerNorm(dim)
        self.rows = RowAttention(dim, heads, dropout)
        self.norm_columns = nn.LayerNorm(dim)
        self.columns = ColumnAttention(dim, heads, dropout)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, hidden)
        self.dropout = dropout

    def forward(self, x: Tensor, batch: Alignments) -> Tensor:
        x = x + self._drop(self.rows(self.norm_rows(x), batch))
        x = x + self._drop(self.columns(self.norm_columns(x), batch))
        return x + self._drop(self.mlp.fc2(self._drop(F.gelu(self.mlp.fc1(self.norm_mlp(x))))))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)
