"""Attention over dense tokens (B, N, C) and over packed tokens (T, C) with offsets, without padding."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.rotary import rotate


class Attention(nn.Module):
    """Multi-head self-attention.

    Dense tokens attend within their row; packed tokens attend within their sample, and no padding is computed: one
    variable-length kernel on a GPU in half precision, sample by sample elsewhere.

    Args:
        dim: width C of the tokens.
        heads: number of heads; C must be divisible by it.
        qkv_bias: bias of the query, key and value projections.
        rotary: base of rotary position embeddings (10000 in the paper), None for none.
        dropout: of the attention weights, in training.

    Shapes: ``forward(x, offsets=None)``: (B, N, C) -> (B, N, C), or (T, C) with ``offsets`` (B + 1,) -> (T, C).
    ``forward(x, last=n)``: (B, N, C) -> (B, n, C), the outputs of the last n tokens only, which read all tokens.
    ``bias``, (B, H, N, N) or with 1 in place of B or H, is added to the scores of dense tokens before the softmax: how
    much token i (a row) listens to token j; -inf for not at all, but not for a whole row.

    Raises:
        ValueError: a width that heads do not divide; ``bias`` or dropout with packed tokens.

    Source: Vaswani et al., "Attention Is All You Need", Section 3.2; Su et al., "RoFormer", Section 3.2.2.
    """

    def __init__(
        self, dim: int, heads: int, qkv_bias: bool = True, rotary: float | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"width {dim} is not divisible by {heads} heads")
        self.heads = heads
        self.rotary = rotary
        self.dropout = dropout
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self, x: Tensor, offsets: Tensor | None = None, last: int | None = None, bias: Tensor | None = None
    ) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        if offsets is not None and (bias is not None or dropout):
            raise ValueError("an attention bias and attention dropout are for dense tokens (B, N, C)")
        query, key, value = self._project(x, last)  # (..., tokens, heads, width)
        if self.rotary is not None:
            positions = torch.arange(len(x) if offsets is not None else x.shape[1], device=x.device)
            if offsets is not None:
                positions = positions - torch.repeat_interleave(offsets[:-1], offsets.diff())
            query = rotate(query, positions if last is None else positions[-last:], self.rotary)
            key = rotate(key, positions, self.rotary)
        if offsets is None:
            query, key, value = (t.transpose(1, 2) for t in (query, key, value))
            if bias is not None:
                bias = (bias if last is None else bias[:, :, -last:]).to(query.dtype)
            mixed = F.scaled_dot_product_attention(query, key, value, bias, dropout).transpose(1, 2)
        else:
            mixed = packed_attention(query, key, value, offsets)
        return self.proj(mixed.flatten(-2))

    def _project(self, x: Tensor, last: int | None) -> tuple[Tensor, Tensor, Tensor]:
        if last is None:
            query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
            return query, key, value
        width = x.shape[-1]
        weights = self.qkv.weight.split([width, 2 * width])
        biases = (None, None) if self.qkv.bias is None else self.qkv.bias.split([width, 2 * width])
        query = F.linear(x[:, -last:], weights[0], biases[0]).unflatten(-1, (self.heads, -1))
        key, value = F.linear(x, weights[1], biases[1]).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        return query, key, value


def packed_attention(query: Tensor, key: Tensor, value: Tensor, offsets: Tensor) -> Tensor:
    """Softmax attention within each sample of a packed batch.

    Args:
        query, key, value: (T, H, D).
        offsets: (B + 1,) int64, where each sample starts.

    Returns:
        (T, H, D).
    """
    if query.is_cuda and query.dtype in (torch.float16, torch.bfloat16):
        from torch.nn.attention.varlen import varlen_attn

        bounds, longest = offsets.to(torch.int32), int(offsets.diff().max())
        return cast(Tensor, varlen_attn(query, key, value, bounds, bounds, longest, longest))
    lengths = offsets.diff().tolist()
    parts = zip(query.split(lengths), key.split(lengths), value.split(lengths), strict=True)
    return torch.cat(
        [F.scaled_dot_product_attention(*(t.transpose(0, 1) for t in part)).transpose(0, 1) for part in parts]
    )
