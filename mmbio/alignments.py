"""Alignments as one batch: cells one alignment after the other, never padded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Alignments:
    """Token ids of several alignments of any depth and width.

    Args:
        ids: (T,) int64, the cells of an alignment row by row, begin tokens included.
        shapes: (R, C) of every alignment; the first row is the query.
        profiles: (sum of C, K) float32, the share of each of K tokens in every column of the whole alignments that these
            rows are taken from; None to count in these rows.

    Raises:
        ValueError: shapes that do not fit.
    """

    def __init__(self, ids: Tensor, shapes: Sequence[tuple[int, int]], profiles: Tensor | None = None) -> None:
        self.ids = ids
        self.shapes = [(int(rows), int(columns)) for rows, columns in shapes]
        self.profiles = profiles
        if ids.ndim != 1 or len(ids) != sum(rows * columns for rows, columns in self.shapes):
            raise ValueError(f"ids {tuple(ids.shape)} for alignments of {self.shapes}; expected one a cell")
        if profiles is not None and len(profiles) != sum(columns for _, columns in self.shapes):
            raise ValueError(f"profiles {tuple(profiles.shape)} for alignments of {self.shapes}; expected one a column")

    def __len__(self) -> int:
        """Number of alignments."""
        return len(self.shapes)

    @property
    def cells(self) -> list[int]:
        """Cells of every alignment."""
        return [rows * columns for rows, columns in self.shapes]

    @property
    def offsets(self) -> Tensor:
        """Where the cells of every alignment start, (B + 1,) int64, on the device of the ids."""
        ends = torch.tensor([0, *self.cells]).cumsum(0)
        return ends.to(self.ids.device)

    @property
    def columns(self) -> Tensor:
        """The column of every cell in its alignment, from 0: (T,)."""
        return self._places([torch.arange(columns).repeat(rows) for rows, columns in self.shapes])

    @property
    def rows(self) -> Tensor:
        """The row of every cell in its alignment, from 0: (T,)."""
        return self._places([torch.arange(rows).repeat_interleave(columns) for rows, columns in self.shapes])

    def split(self, x: Tensor | None = None) -> list[Tensor]:
        """Values of cells by alignment: (T, ...) -> (R, C, ...) each; the ids where none are given."""
        x = self.ids if x is None else x
        return [part.unflatten(0, shape) for part, shape in zip(x.split(self.cells), self.shapes, strict=True)]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Alignments:
        profiles = None if self.profiles is None else self.profiles.to(device, non_blocking=non_blocking)
        return Alignments(self.ids.to(device, non_blocking=non_blocking), self.shapes, profiles)

    def pin_memory(self) -> Alignments:
        return Alignments(
            self.ids.pin_memory(), self.shapes, None if self.profiles is None else self.profiles.pin_memory()
        )

    def _places(self, parts: list[Tensor]) -> Tensor:
        return (torch.cat(parts) if parts else torch.zeros(0, dtype=torch.long)).to(self.ids.device)


def join_alignments(alignments: Sequence[Tensor], profiles: Sequence[Tensor] | None = None) -> Alignments:
    """Alignments (R, C) int64 as one batch, with their profiles (C, K) if they have some."""
    flat = torch.cat([ids.flatten() for ids in alignments])
    shapes = [(ids.shape[0], ids.shape[1]) for ids in alignments]
    return Alignments(flat, shapes, None if profiles is None else torch.cat(list(profiles)))


def profile_of(ids: Tensor, tokens: int) -> Tensor:
    """The share of each token in every column: (R, C) -> (C, tokens) float32."""
    return torch.nn.functional.one_hot(ids.long(), tokens).float().mean(0)
