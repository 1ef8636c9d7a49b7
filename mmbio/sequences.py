"""Sequences as one batch: tokens one sequence after the other, never padded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Sequences:
    """Token ids of several sequences.

    Args:
        ids: (T,) int64.
        offsets: (B + 1,) int64, where each sequence starts; None for a single one.
        regions: (T,) int64, 0 or the number of a region such as an antibody's CDR that a token is in; None for none.

    Raises:
        ValueError: shapes that do not fit together.
    """

    def __init__(self, ids: Tensor, offsets: Tensor | None = None, regions: Tensor | None = None) -> None:
        self.ids = ids
        self.offsets = torch.tensor([0, len(ids)], device=ids.device) if offsets is None else offsets
        self.regions = regions
        if ids.ndim != 1 or int(self.offsets[-1]) != len(ids):
            raise ValueError(f"ids {tuple(ids.shape)}; expected (T,) with T where offsets end, {int(self.offsets[-1])}")
        if regions is not None and regions.shape != ids.shape:
            raise ValueError(f"regions {tuple(regions.shape)} for ids {tuple(ids.shape)}; expected one a token")

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """Tokens of every sequence: (B,)."""
        return self.offsets.diff()

    @property
    def positions(self) -> Tensor:
        """Place of every token in its sequence, from 0: (T,)."""
        starts = torch.repeat_interleave(self.offsets[:-1], self.lengths)
        return torch.arange(len(self.ids), device=self.ids.device) - starts

    @property
    def sample(self) -> Tensor:
        """Which sequence every token is of: (T,)."""
        return torch.repeat_interleave(torch.arange(len(self), device=self.ids.device), self.lengths)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Sequences:
        regions = None if self.regions is None else self.regions.to(device, non_blocking=non_blocking)
        return Sequences(
            self.ids.to(device, non_blocking=non_blocking), self.offsets.to(device, non_blocking=non_blocking), regions
        )

    def pin_memory(self) -> Sequences:
        regions = None if self.regions is None else self.regions.pin_memory()
        return Sequences(self.ids.pin_memory(), self.offsets.pin_memory(), regions)

    def split(self) -> list[Tensor]:
        """The ids of each sequence."""
        return list(self.ids.split(self.lengths.tolist()))


def tagged(digits: str, before: int, around: int) -> Tensor:
    """Regions of a text's tokens, a digit each, with 0 for begin and end: (L + around,) int8.

    Args:
        before, around: tokens in front of the text, and all that are put around it.
    """
    found = torch.zeros(len(digits) + around, dtype=torch.int8)
    found[before : before + len(digits)] = torch.tensor([int(digit) for digit in digits], dtype=torch.int8)
    return found


def join(sequences: Sequence[Tensor], regions: Sequence[Tensor] | None = None) -> Sequences:
    """Sequences as one batch: (L_i,) int64 each, with their regions if they have some."""
    lengths = torch.tensor([len(ids) for ids in sequences])
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    return Sequences(torch.cat(list(sequences)), offsets, None if regions is None else torch.cat(list(regions)))


def mean_of_sequences(x: Tensor, batch: Sequences, counted: Tensor | None = None) -> Tensor:
    """Mean over the tokens of every sequence: (T, C) -> (B, C), in float32.

    Args:
        counted: (T,) bool, the tokens that take part; None for all. A sequence without any gives zeros.
    """
    x = x.float()
    weight = torch.ones(len(x), device=x.device) if counted is None else counted.float()
    sums = x.new_zeros(len(batch), x.shape[1]).index_add(0, batch.sample, x * weight.unsqueeze(1))
    counts = weight.new_zeros(len(batch)).index_add(0, batch.sample, weight)
    return sums / counts.clamp(min=1).unsqueeze(1)
