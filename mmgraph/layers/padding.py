"""Packed tokens of graphs as dense rows, for attention with a bias, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

PAIRS = 1 << 20  # pairs of tokens that are padded together; a larger graph is a group of its own


class Rows(NamedTuple):
    """Tokens of some graphs of a batch, a row for each graph.

    ``token`` (B, N) int64 says which packed token stands where; at padding it is the graph's first. ``real`` (B, N) bool
    is False at padding. ``pair`` (B, N, N) int64 is where two tokens' entry stands in matrices of all nodes of each
    graph, flattened one after the other.
    """

    token: Tensor
    real: Tensor
    pair: Tensor


def pad(chosen: Tensor, offsets: Tensor, pairs: int = PAIRS) -> list[Rows]:
    """Rows for some of the nodes of a batch; graphs of like size share a group, so that little is padding.

    Args:
        chosen: (S,) int64 ascending, nodes of the batch that are tokens.
        offsets: (B + 1,) int64, where the nodes of each graph start.
        pairs: most pairs of tokens in a group.

    Returns:
        Groups that hold every token once. A graph without tokens is in none.
    """
    sizes = offsets.diff()
    graph = torch.repeat_interleave(sizes, output_size=int(offsets[-1]))[chosen]
    counts = torch.bincount(graph, minlength=len(sizes))
    starts = counts.cumsum(0) - counts
    matrices = sizes.square().cumsum(0) - sizes.square()
    groups = []
    for members in group_by_size(counts.tolist(), pairs):
        group = torch.tensor(members, device=chosen.device)
        column = torch.arange(int(counts[members[0]]), device=chosen.device)
        real = column < counts[group, None]
        token = starts[group, None] + column * real
        local = chosen[token] - offsets[group, None]
        pair = (matrices[group, None] + local * sizes[group, None])[:, :, None] + local[:, None]
        groups.append(Rows(token, real, pair))
    return groups


def unpad(groups: Sequence[Rows], rows: Sequence[Tensor]) -> Tensor:
    """Rows (B, N, C) of every group as packed tokens: (S, C)."""
    order = torch.cat([group.token[group.real] for group in groups])
    tokens = torch.cat([row[group.real] for group, row in zip(groups, rows, strict=True)])
    return torch.empty_like(tokens).index_copy(0, order, tokens)


def group_by_size(counts: Sequence[int], pairs: int) -> list[list[int]]:
    """Samples in groups, largest first, so that members x largest ** 2 is at most ``pairs`` where a group has several."""
    groups: list[list[int]] = []
    for sample in sorted((i for i, count in enumerate(counts) if count), key=lambda i: -counts[i]):
        if groups and (len(groups[-1]) + 1) * counts[groups[-1][0]] ** 2 <= pairs:
            groups[-1].append(sample)
        else:
            groups.append([sample])
    return groups
