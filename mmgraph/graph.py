"""Graphs as one batch: nodes one graph after the other, never padded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.ops.pattern import Pattern

SPARSE = 0.1  # features with a smaller share of entries that are not zero are multiplied as sparse rows


class Graphs:
    """One graph, or several whose nodes and edges do not touch.

    Args:
        x: (T, F) features of all nodes: float32, or int64 where they are categories.
        edge_index: (2, E) int64, source and target of directed edges; an undirected edge is there twice.
        offsets: (B + 1,) int64, where the nodes of each graph start; None for a single graph.
        edge_attr: (E, B) int64 categories of the edges, or None.
        roots: (R,) int64, the nodes that a sampled subgraph was drawn around; None for all nodes.
        edge_weight: (E,) float32, not negative; None for ones. Graph convolutions weigh their sums by it, other layers look at
            which edges there are and no more.

    Raises:
        ValueError: shapes, types or indices that do not fit together.
    """

    def __init__(
        self,
        x: Tensor,
        edge_index: Tensor,
        offsets: Tensor | None = None,
        edge_attr: Tensor | None = None,
        roots: Tensor | None = None,
        edge_weight: Tensor | None = None,
    ) -> None:
        if x.ndim != 2 or edge_index.ndim != 2 or len(edge_index) != 2:
            raise ValueError(f"features {tuple(x.shape)}, edges {tuple(edge_index.shape)}; expected (T, F) and (2, E)")
        if edge_index.is_floating_point() or edge_index.is_complex():
            raise ValueError(f"edges of {edge_index.dtype}; expected integers")
        if edge_attr is not None and (edge_attr.ndim != 2 or len(edge_attr) != edge_index.shape[1]):
            raise ValueError(f"{edge_index.shape[1]} edges, edge attributes {tuple(edge_attr.shape)}; expected (E, B)")
        if edge_weight is not None and edge_weight.shape != edge_index.shape[1:]:
            raise ValueError(f"{edge_index.shape[1]} edges, weights {tuple(edge_weight.shape)}; expected (E,)")
        self.x = x
        self.edge_index = edge_index.long()  # products of two node numbers leave narrower types
        self.edge_weight = edge_weight
        self.edge_attr = edge_attr
        self.roots = roots
        self.offsets = torch.tensor([0, len(x)], device=x.device) if offsets is None else offsets
        if int(self.offsets[-1]) != len(x):
            raise ValueError(f"offsets end at {int(self.offsets[-1])}, there are {len(x)} nodes")

    def __len__(self) -> int:
        """Number of graphs."""
        return len(self.offsets) - 1

    @cached_property
    def edges(self) -> Pattern:
        """Edges by target, without self-loops of their own and with one self-loop at every node."""
        return self._sorted[0]

    @cached_property
    def _sorted(self) -> tuple[Pattern, Tensor]:
        return Pattern.of_edges(with_self_loops(self.edge_index, len(self.x)), len(self.x))

    @cached_property
    def weights(self) -> Tensor | None:
        """Weights of ``edges`` in their order, one for a self-loop that the graph does not have; None where it has none."""
        if self.edge_weight is None:
            return None
        ends, own = self.edge_index, self.edge_index[0] == self.edge_index[1]
        loops = self.edge_weight.new_ones(len(self.x)).index_copy(0, ends[0, own], self.edge_weight[own])
        return self._per_entry(self.edge_weight, loops)

    def edges_without(self, hidden: Tensor) -> tuple[Pattern, Tensor | None]:
        """The edges but for the hidden ones, (E,) bool over ``edge_index``, and their weights; self-loops stay."""
        kept = self._per_entry(~hidden, hidden.new_ones(len(self.x)))
        return self.edges.of_entries(kept), None if self.weights is None else self.weights[kept]

    def _per_entry(self, values: Tensor, loops: Tensor) -> Tensor:
        """(E,) values and (T,) those of self-loops in the order of ``edges``."""
        between = values[self.edge_index[0] != self.edge_index[1]]
        return torch.cat([between, loops])[self._sorted[1]]

    @cached_property
    def edge_offsets(self) -> Tensor:
        """(B + 1,) int64, where the edges of each graph start."""
        counts = torch.bincount(self.graph_of_node[self.edge_index[0]], minlength=len(self))
        return torch.cat([counts.new_zeros(1), counts.cumsum(0)])

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """On the CPU: the number (E,) int64 of the undirected edge that each edge is, and the keys (P,) of these.

        A key is lower node * T + higher node; they ascend. Self-loops have the number P.
        """
        low, high = self.edge_index.amin(0).cpu(), self.edge_index.amax(0).cpu()
        loop = low == high
        keys, number = torch.unique(low[~loop] * len(self.x) + high[~loop], return_inverse=True)
        pair = number.new_full((len(low),), len(keys))
        pair[~loop] = number
        return pair, keys

    @cached_property
    def outgoing(self) -> tuple[Tensor, Tensor, Tensor]:
        """On the CPU: (E,) sources ascending, (E,) the edges in this order, (T + 1,) where those of each node start."""
        sources = self.edge_index[0].cpu()
        order = sources.argsort(stable=True)
        counts = torch.bincount(sources, minlength=len(self.x))
        return sources[order], order, torch.cat([counts.new_zeros(1), counts.cumsum(0)])

    @cached_property
    def sparse_x(self) -> tuple[Pattern, Tensor] | None:
        """Features as places and values, where most are zero; None where they are not."""
        present = self.x != 0
        if int(present.sum()) > SPARSE * self.x.numel():
            return None
        row, column = present.nonzero(as_tuple=True)
        counts = torch.bincount(row, minlength=len(self.x))
        start = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return Pattern(start, column, self.x.shape[1]), self.x[row, column]

    @cached_property
    def graph_of_node(self) -> Tensor:
        """(T,) int64."""
        return torch.repeat_interleave(self.offsets.diff(), output_size=len(self.x))

    def to(self, device: torch.device | str) -> Graphs:
        """On another device; itself where it is there already, with what it has computed of its edges."""
        if self.x.device == torch.device(device):
            return self
        attributes = None if self.edge_attr is None else self.edge_attr.to(device)
        roots = None if self.roots is None else self.roots.to(device)
        weight = None if self.edge_weight is None else self.edge_weight.to(device)
        return Graphs(self.x.to(device), self.edge_index.to(device), self.offsets.to(device), attributes, roots, weight)


def join(graphs: Sequence[Graphs]) -> Graphs:
    """Several batches as one; a single one is given back as it is."""
    if len(graphs) == 1:
        return graphs[0]
    sizes = torch.tensor([len(g.x) for g in graphs])
    before = sizes.cumsum(0) - sizes
    roots = [None if g.roots is None else g.roots + at for g, at in zip(graphs, before, strict=True)]
    return Graphs(
        torch.cat([g.x for g in graphs]),
        torch.cat([g.edge_index + at for g, at in zip(graphs, before, strict=True)], 1),
        torch.cat([graphs[0].offsets[:1], *(g.offsets[1:] + at for g, at in zip(graphs, before, strict=True))]),
        _joined("edge attributes", [g.edge_attr for g in graphs]),
        _joined("roots", roots),
        _joined("edge weights", [g.edge_weight for g in graphs]),
    )


def _joined(what: str, parts: Sequence[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    if present and len(present) < len(parts):
        raise ValueError(f"some of the graphs have {what}, others have none")
    return torch.cat(present) if present else None


def check_width(graphs: Graphs, width: int, source: str) -> None:
    """See that nodes have features of a width.

    Raises:
        UserError: another width, or categories in place of features.
    """
    if graphs.x.dtype == torch.float64:
        raise UserError(f"{source}: features in float64; the model takes float32")
    if not graphs.x.is_floating_point():
        raise UserError(f"{source}: its nodes have categories ({graphs.x.dtype}); the model takes features")
    if graphs.x.shape[1] != width:
        raise UserError(f"{source}: {graphs.x.shape[1]} features a node; the model takes {width} (model.width)")


def check_edges(graphs: Graphs, source: str) -> None:
    """See that edges can be hidden.

    Raises:
        UserError: fewer than two undirected edges in all.
    """
    count = len(graphs.pairs[1])
    if count < 2:
        raise UserError(f"{source}: {count} undirected edges; expected two at least, one to hide and one to see")


def with_self_loops(edge_index: Tensor, nodes: int) -> Tensor:
    """Edges with exactly one self-loop at every node, at the end."""
    loop = torch.arange(nodes, device=edge_index.device)
    kept = edge_index[:, edge_index[0] != edge_index[1]]
    return torch.cat([kept, loop.expand(2, -1)], 1)
