"""Node features at the input of an encoder, of which some are replaced under a mask."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from core.dropout import dropout
from mmgraph.graph import Graphs
from mmgraph.masks import NodeMask
from mmgraph.ops import Pattern, aggregate


class NodeFeatures:
    """Features of the nodes of a batch; under a mask with tokens and noise in place of some. The batch stays as it is.

    Args:
        graphs: the batch.
        mask: which nodes get what; None for the features as they are.
        token: (1, F), what stands at masked nodes.
    """

    def __init__(self, graphs: Graphs, mask: NodeMask | None = None, token: Tensor | None = None) -> None:
        self.graphs = graphs
        self.mask = mask
        self.token = token

    def dense(self) -> Tensor:
        """(T, F)."""
        x = self.graphs.x
        if self.mask is None:
            return x
        assert self.token is not None
        x = x.clone()
        x[self.mask.noise] = self.graphs.x[self.mask.noise_source]
        return x.index_copy(0, self.mask.token, self.token.to(x.dtype).expand(len(self.mask.token), -1))

    def linear(self, weight: Tensor, rate: float = 0.0) -> Tensor:
        """Features, with dropout of ``rate``, times the transpose of ``weight`` (C, F): (T, C).

        Where most features are zero only the others are multiplied; tokens, which are not sparse, are multiplied densely.
        Dropout is drawn for the entries that are not zero, which for zeros changes nothing.
        """
        sparse = self.graphs.sparse_x
        if sparse is None:
            return F.linear(dropout(self.dense(), rate), weight)
        pattern, values = sparse
        if self.mask is None:
            return _sparse_linear(pattern, values, weight, rate)
        assert self.token is not None
        taken = torch.arange(pattern.rows, device=weight.device)
        taken[self.mask.noise] = self.mask.noise_source
        is_token = torch.zeros(pattern.rows, dtype=torch.bool, device=weight.device)
        is_token[self.mask.token] = True
        own = taken[~is_token]
        places = pattern.of_rows(own)
        entry = torch.arange(len(places.column), device=weight.device)
        entry = entry - places.start[places.row] + pattern.start[own][places.row]
        others = _sparse_linear(places, values[entry], weight, rate)
        tokens = dropout(self.token.expand(len(self.mask.token), -1), rate)
        rows = torch.cat([others, F.linear(tokens, weight)])
        order = torch.cat([(~is_token).nonzero().squeeze(1), self.mask.token])
        return torch.empty_like(rows).index_copy(0, order, rows)


def _sparse_linear(pattern: Pattern, values: Tensor, weight: Tensor, rate: float) -> Tensor:
    return aggregate(pattern, weight.t(), dropout(values, rate))
