"""Attention over dense tokens (B, N, C) and over packed tokens (T, C) with offsets, without padding."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.rotary import Rotation, rotate, rotation


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
    ``turn`` is the rotation of the positions where a caller has it already (:meth:`turn`).
    ``bias``, (B, H, N, N) or with 1 in place of B or H, is added to the scores of dense tokens before the softmax: how
    much token i (a row) listens to token j; -inf for not at all, but not for a whole row.

    Raises:
        ValueError: a width that heads do not divide; ``bias`` with packed tokens.

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
        self,
        x: Tensor,
        offsets: Tensor | None = None,
        last: int | None = None,
        bias: Tensor | None = None,
        turn: Rotation | None = None,
    ) -> Tensor:
        if offsets is not None and bias is not None:
            raise ValueError("an attention bias is for dense tokens (B, N, C)")
        dropout = self.dropout if self.training else 0.0
        query, key, value = self._queries(x, offsets, last, turn)  # (..., tokens, heads, width)
        if offsets is None:
            query, key, value = (t.transpose(1, 2) for t in (query, key, value))
            if bias is not None:
                bias = (bias if last is None else bias[:, :, -last:]).to(query.dtype)
            mixed = F.scaled_dot_product_attention(query, key, value, bias, dropout).transpose(1, 2)
        else:
            mixed = packed_attention(query, key, value, offsets, dropout)
        return self.proj(mixed.flatten(-2))

    def turn(self, x: Tensor, offsets: Tensor | None = None) -> Rotation | None:
        """The rotation of the tokens' positions, counted from 0 in each sample; None without rotary embeddings."""
        if self.rotary is None:
            return None
        positions = torch.arange(len(x) if offsets is not None else x.shape[1], device=x.device)
        if offsets is not None:
            positions = positions - torch.repeat_interleave(offsets[:-1], offsets.diff())
        return rotation(positions, x.shape[-1] // self.heads, self.rotary)

    def weights(self, x: Tensor, offsets: Tensor, turn: Rotation | None = None) -> list[Tensor]:
        """How much every token listens to every other of its sample: (H, N, N) a sample, rows sum to 1. For looking at."""
        query, key, _ = self._queries(x, offsets, None, turn)
        lengths = offsets.diff().tolist()
        return [
            (q.transpose(0, 1) @ k.permute(1, 2, 0) * q.shape[-1] ** -0.5).softmax(-1)
            for q, k in zip(query.split(lengths), key.split(lengths), strict=True)
        ]

    def _queries(
        self, x: Tensor, offsets: Tensor | None, last: int | None, turn: Rotation | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, rotated where the layer has rotary embeddings."""
        query, key, value = self._project(x, last)
        if self.rotary is not None:
            turn = turn or self.turn(x, offsets)
            assert turn is not None
            query = rotate(query, turn if last is None else (turn[0][-last:], turn[1][-last:]))
            key = rotate(key, turn)
        return query, key, value

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


def packed_attention(query: Tensor, key: Tensor, value: Tensor, offsets: Tensor, dropout: float = 0.0) -> Tensor:
    """Softmax attention within each sample of a packed batch.

    Args:
        query, key, value: (T, H, D).
        offsets: (B + 1,) int64, where each sample starts.
        dropout: of the attention weights.

    Returns:
        (T, H, D).
    """
    if query.is_cuda and query.dtype in (torch.float16, torch.bfloat16) and not dropout:
        from torch.nn.attention.varlen import varlen_attn

        bounds, longest = offsets.to(torch.int32), int(offsets.diff().max())
        return cast(Tensor, varlen_attn(query, key, value, bounds, bounds, longest, longest))
    order, sizes = by_length(offsets)
    if order is not None:
        query, key, value = query[order], key[order], value[order]
    tokens = [count * length for count, length in sizes]
    mixed = []
    for shape, *part in zip(sizes, query.split(tokens), key.split(tokens), value.split(tokens), strict=True):
        q, k, v = (t.unflatten(0, shape).transpose(1, 2) for t in part)
        mixed.append(F.scaled_dot_product_attention(q, k, v, dropout_p=dropout).transpose(1, 2).flatten(0, 1))
    joined = torch.cat(mixed)
    return joined if order is None else torch.empty_like(joined).index_copy(0, order, joined)


def by_length(offsets: Tensor) -> tuple[Tensor | None, list[tuple[int, int]]]:
    """Samples as groups of equal length, which dense kernels take together.

    Returns:
        The tokens in the order of groups, (T,) int64, or None where they stand so already; (samples, length) of each group.
    """
    lengths = offsets.diff()
    listed = lengths.tolist()
    if 2 * len(set(listed)) > len(listed):  # few groups: moving tokens costs more than it saves
        return None, [(1, length) for length in listed]
    samples = lengths.argsort(stable=True)
    sizes, counts = lengths.unique(return_counts=True)
    begins = torch.repeat_interleave(offsets[:-1][samples], lengths[samples])
    within = torch.arange(int(offsets[-1]), device=offsets.device)
    starts = lengths[samples].cumsum(0) - lengths[samples]
    order = begins + within - torch.repeat_interleave(starts, lengths[samples])
    return order, list(zip(counts.tolist(), sizes.tolist(), strict=True))
