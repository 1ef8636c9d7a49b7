"""Where the entries of a sparse matrix stand: compressed rows, and the same entries by column for the backward pass."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor


class Pattern:
    """Places of the entries of a sparse (R, M) matrix, sorted by row.

    For the edges of a graph a row is a target, a column a source: the row lists the nodes that a node listens to.

    Args:
        start: (R + 1,) int64, where each row begins.
        column: (E,) int64 in [0, M).
        columns: M.
        nodes: (R,) int64 where the rows are some of the columns' nodes only; None where row i is node i.
    """

    def __init__(self, start: Tensor, column: Tensor, columns: int, nodes: Tensor | None = None) -> None:
        self.start = start
        self.column = column
        self.columns = columns
        self.nodes = nodes
        self._heads: dict[int, Pattern] = {}
        self._one_head: Pattern | None = None

    @classmethod
    def of_edges(cls, edge_index: Tensor, nodes: int) -> tuple[Pattern, Tensor]:
        """The pattern of (2, E) edges (source, target) and the order (E,) in which it has them.

        Raises:
            ValueError: an index outside the nodes.
        """
        if edge_index.numel() and (int(edge_index.min()) < 0 or int(edge_index.max()) >= nodes):
            raise ValueError(
                f"edges between {int(edge_index.min())} and {int(edge_index.max())}, there are {nodes} nodes"
            )
        source, target = edge_index
        order = target.argsort(stable=True)
        return cls(_starts(target, nodes), source[order], nodes), order

    @property
    def rows(self) -> int:
        return len(self.start) - 1

    @cached_property
    def row(self) -> Tensor:
        """The row of every entry, (E,) int64, ascending."""
        return torch.repeat_interleave(self.start.diff(), output_size=len(self.column))

    @cached_property
    def target(self) -> Tensor:
        """The node whose row an entry is in, (E,) int64."""
        return self.row if self.nodes is None else self.nodes[self.row]

    @cached_property
    def by_column(self) -> tuple[Tensor, Tensor, Tensor]:
        """Entries sorted by column: their places (E,), their rows (E,), and where each column begins (M + 1,)."""
        if self._one_head is not None:
            return _by_column_of_heads(self._one_head, self.rows // self._one_head.rows)
        order = self.column.argsort(stable=True)
        return order, self.row[order], _starts(self.column, self.columns)

    def of_heads(self, heads: int) -> Pattern:
        """The pattern for values of several heads: row h * R + i has the entries of row i at columns j * heads + h."""
        if heads == 1:
            return self
        if heads not in self._heads:
            head = torch.arange(heads, device=self.start.device)
            start = (head[:, None] * len(self.column) + self.start[:-1]).flatten()
            self._heads[heads] = Pattern(
                torch.cat([start, start.new_tensor([heads * len(self.column)])]),
                (self.column * heads + head[:, None]).flatten(),
                self.columns * heads,
            )
            # Not this one itself: in a circle both would stay in memory until Python looks for circles.
            self._heads[heads]._one_head = single = Pattern(self.start, self.column, self.columns)
            if "by_column" in self.__dict__:
                single.by_column = self.by_column
        return self._heads[heads]

    def of_rows(self, keep: Tensor) -> Pattern:
        """Some of the rows, (K,) int64 ascending, with all of their entries."""
        lengths = self.start.diff()[keep]
        start = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        row = torch.repeat_interleave(lengths)
        place = torch.arange(len(row), device=row.device) - start[row] + self.start[keep][row]
        return Pattern(start, self.column[place], self.columns, keep if self.nodes is None else self.nodes[keep])

    def of_entries(self, keep: Tensor) -> Pattern:
        """Some of the entries, (E,) bool, in all of the rows; nothing is sorted anew."""
        before = torch.cat([keep.new_zeros(1, dtype=torch.int64), keep.cumsum(0)])
        order, row, start = self.by_column
        kept = keep[order]
        found = Pattern(before[self.start], self.column[keep], self.columns, self.nodes)
        by_column = torch.cat([kept.new_zeros(1, dtype=torch.int64), kept.cumsum(0)])
        found.by_column = before[order[kept]], row[kept], by_column[start]
        return found

    def to(self, device: torch.device | str) -> Pattern:
        if self.start.device == torch.device(device):
            return self
        nodes = None if self.nodes is None else self.nodes.to(device)
        return Pattern(self.start.to(device), self.column.to(device), self.columns, nodes)


def _by_column_of_heads(pattern: Pattern, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """``by_column`` of a pattern's ``of_heads``, by counting: sorting so many entries takes longer than using them."""
    order, row, start = pattern.by_column
    head = torch.arange(heads, device=start.device)[:, None]
    count = start.diff()
    begin = heads * start[:-1] + head * count  # of column j * heads + h, as (heads, M)
    column = pattern.column[order]
    place = (begin[:, column] + torch.arange(len(order), device=start.device) - start[column]).flatten()
    orders, rows = (torch.empty_like(place) for _ in range(2))
    orders[place] = (head * len(order) + order).flatten()
    rows[place] = (head * pattern.rows + row).flatten()
    return orders, rows, torch.cat([begin.t().flatten(), start.new_tensor([heads * len(order)])])


def _starts(index: Tensor, count: int) -> Tensor:
    counts = torch.bincount(index, minlength=count)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
