"""Masks: which tokens are hidden. One type for the whole project; True means hidden."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property

import torch
from torch import Tensor

from core.random import Randomness, uniform, uniform_packed


class Mask:
    """Which tokens of a batch are hidden (True) and which are visible (False).

    Tokens come in two shapes. *Dense*: every sample has N tokens, ``hidden`` is (B, N). *Packed*: samples have
    different lengths, ``hidden`` is (T,) over all tokens one sample after the other, and ``offsets`` (B + 1,) says
    where each sample starts. All methods take both; packed tokens are never padded.

    A dense mask whose samples hide equally many tokens (``even``) keeps its batch dimension when tokens are selected;
    otherwise the selected tokens are packed, with ``visible_offsets`` and ``hidden_offsets`` saying where samples start.

    Args:
        hidden: (B, N) or (T,) bool.
        offsets: (B + 1,) int64 for packed tokens, None for dense ones.

    Raises:
        ValueError: ``hidden`` is not bool, or its shape and ``offsets`` do not fit.
    """

    def __init__(self, hidden: Tensor, offsets: Tensor | None = None) -> None:
        if hidden.dtype != torch.bool:
            raise ValueError(f"a mask is bool (True = hidden), got {hidden.dtype}")
        if hidden.ndim != (2 if offsets is None else 1):
            raise ValueError(
                f"a dense mask is (B, N), a packed one (T,) with offsets; got {tuple(hidden.shape)} "
                f"{'without' if offsets is None else 'with'} offsets"
            )
        if offsets is not None and int(offsets[-1]) != len(hidden):
            raise ValueError(f"offsets end at {int(offsets[-1])}, the mask has {len(hidden)} tokens")
        self.hidden = hidden
        self.offsets = offsets

    @property
    def packed(self) -> bool:
        return self.offsets is not None

    @cached_property
    def counts(self) -> Tensor:
        """Hidden tokens of every sample, (B,) int64."""
        return self.hidden.sum(1) if self.offsets is None else count_within(self.hidden, self.offsets)

    @cached_property
    def even(self) -> bool:
        """Dense, and every sample hides the same number of tokens."""
        return not self.packed and (len(self.hidden) == 0 or bool((self.counts == self.counts[0]).all()))

    @cached_property
    def lengths(self) -> Tensor:
        """Tokens of every sample, (B,) int64."""
        if self.offsets is None:
            return torch.full_like(self.counts, self.hidden.shape[1])
        return self.offsets.diff()

    @cached_property
    def visible_index(self) -> Tensor:
        """Where the visible tokens stand among all tokens flattened to (B * N,) or (T,), ascending, int64."""
        return (~self.hidden).flatten().nonzero().squeeze(1)

    @cached_property
    def hidden_index(self) -> Tensor:
        """Where the hidden tokens stand among all tokens flattened, ascending, int64."""
        return self.hidden.flatten().nonzero().squeeze(1)

    @property
    def visible_offsets(self) -> Tensor:
        """Where each sample starts among the selected visible tokens, (B + 1,) int64."""
        return _starts(self.lengths - self.counts)

    @property
    def hidden_offsets(self) -> Tensor:
        """Where each sample starts among the selected hidden tokens, (B + 1,) int64."""
        return _starts(self.counts)

    def to(self, device: torch.device | str) -> Mask:
        offsets = None if self.offsets is None else self.offsets.to(device)
        return Mask(self.hidden.to(device), offsets)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.hidden) if self.offsets is None else len(self.offsets) - 1

    def __getitem__(self, samples: slice) -> Mask:
        """The mask of some of the samples of a dense batch."""
        if self.packed:
            raise ValueError("a packed mask is not sliced by sample")
        return Mask(self.hidden[samples])

    def select_visible(self, tokens: Tensor) -> Tensor:
        """The visible tokens in their order.

        (B, N, ...) -> (B, V, ...) where the mask is even, else (visible tokens, ...) packed; (T, ...) -> packed.
        """
        return self._select(tokens, self.visible_index)

    def select_hidden(self, tokens: Tensor) -> Tensor:
        """The hidden tokens in their order, shaped as in :meth:`select_visible`."""
        return self._select(tokens, self.hidden_index)

    def merge(self, visible: Tensor, hidden: Tensor) -> Tensor:
        """Visible and hidden tokens back in their places: the inverse of the two selections.

        Args:
            visible: as returned by :meth:`select_visible`.
            hidden: as returned by :meth:`select_hidden`; a single token (C,) stands for all of them.

        Returns:
            (B, N, C) or (T, C).
        """
        width = visible.shape[-1]
        if hidden.ndim == 1:
            hidden = hidden.expand(len(self.hidden_index), -1)
        merged = torch.cat([visible.reshape(-1, width), hidden.reshape(-1, width).to(visible.dtype)])
        order = torch.empty(self.hidden.numel(), dtype=torch.long, device=self.hidden.device)
        order[torch.cat([self.visible_index, self.hidden_index])] = torch.arange(len(order), device=order.device)
        return merged[order].view(*self.hidden.shape, width)

    def fill(self, tokens: Tensor, token: Tensor) -> Tensor:
        """Tokens with every hidden one replaced by ``token`` (C,): a copy, the input is not written to."""
        return torch.where(self.hidden.unsqueeze(-1), token.to(tokens.dtype), tokens)

    def _select(self, tokens: Tensor, index: Tensor) -> Tensor:
        if tokens.shape[: self.hidden.ndim] != self.hidden.shape:
            raise ValueError(f"mask {tuple(self.hidden.shape)} does not fit tokens {tuple(tokens.shape)}")
        rest = tokens.shape[self.hidden.ndim :]
        chosen = tokens.reshape(self.hidden.numel(), *rest)[index]
        if self.even and len(self.hidden):
            return chosen.view(len(self.hidden), -1, *rest)
        return chosen


def check_ratio(ratio: float) -> None:
    """See that a share of what is hidden leaves something.

    Raises:
        ValueError: the ratio is not in [0, 1).
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"a mask ratio is in [0, 1), got {ratio}: some tokens must stay visible")


def count_hidden(length: int, ratio: float) -> int:
    """How many of ``length`` tokens a ratio hides: the floor of the exact product, at least 1 and at most length - 1.

    The ratio is read as the decimal that was written, so that .7 of 10 is 7, not the 6 of binary floating point. Ratio
    0 hides nothing, because it asks for that. A sample of one token keeps it visible. The floor is what Point-MAE,
    Point-BERT and GraphMAE do.

    Raises:
        ValueError: the ratio is not in [0, 1).
    """
    check_ratio(ratio)
    if ratio == 0 or length < 2:
        return 0
    return min(max(int(Fraction(str(ratio)) * length), 1), length - 1)


def random_mask(shape: tuple[int, int], ratio: float, randomness: Randomness = None) -> Mask:
    """Hide uniformly chosen tokens, equally many in every sample.

    Args:
        shape: (B, N).
        ratio: share of the tokens to hide; the count is :func:`count_hidden`.
        randomness: one CPU generator, one a sample, or None for torch's default.

    Returns:
        A dense even mask on the CPU; ``.to(device)`` moves it.

    Raises:
        ValueError: ratio outside [0, 1), or a single token of which some should be hidden.

    Source: He et al., "Masked Autoencoders Are Scalable Vision Learners", Section 3 (random sampling without replacement).
    """
    batch, length = shape
    if length < 2 and ratio > 0:
        raise ValueError(f"{length} token a sample cannot be split into hidden and visible")
    return _hide_lowest(uniform(batch, length, randomness), count_hidden(length, ratio))


def random_mask_packed(lengths: Sequence[int], ratio: float, randomness: Randomness = None) -> Mask:
    """Hide uniformly chosen tokens of samples of unequal length; each hides :func:`count_hidden` of its own.

    Args:
        lengths: tokens of every sample (B of them, each >= 1).
        ratio: share of the tokens to hide. A sample of one token stays visible.
        randomness: one CPU generator, one a sample, or None for torch's default.

    Returns:
        A packed mask on the CPU.

    Raises:
        ValueError: ratio outside [0, 1), an empty sample, or no sample that has two tokens.
    """
    if max(lengths, default=2) == 1 and ratio > 0:
        raise ValueError("no sample has two tokens: nothing can be hidden")
    return counted_mask_packed(lengths, [count_hidden(n, ratio) for n in lengths], randomness)


def counted_mask_packed(lengths: Sequence[int], counts: Sequence[int], randomness: Randomness = None) -> Mask:
    """Hide a given number of uniformly chosen tokens of every sample.

    Args:
        lengths: tokens of every sample (B of them, each >= 1).
        counts: how many of them to hide, for rules other than :func:`count_hidden`.
        randomness: one CPU generator, one a sample, or None for torch's default.

    Returns:
        A packed mask on the CPU.

    Raises:
        ValueError: an empty sample, or a sample that cannot hide as many tokens.
    """
    if min(lengths, default=0) < 1:
        raise ValueError("every sample needs at least one token")
    if any(not 0 <= count <= length for count, length in zip(counts, lengths, strict=True)):
        raise ValueError("a sample cannot hide fewer than 0 or more than all of its tokens")
    sizes = torch.tensor(list(lengths))
    sample = torch.repeat_interleave(torch.arange(len(lengths)), sizes)
    # Sorting by (sample, draw): the k-th token of each sample in that order has rank k.
    order = torch.argsort(uniform_packed(lengths, randomness).double() / 2 + sample, stable=True)
    offsets = _starts(sizes)
    rank = torch.arange(len(sample)) - offsets[:-1][sample]
    hidden = torch.zeros(len(sample), dtype=torch.bool)
    hidden[order] = rank < torch.tensor(list(counts))[sample]
    return Mask(hidden, offsets)


def block_mask(positions: Tensor, ratio: float | tuple[float, float], randomness: Randomness = None) -> Mask:
    """Hide a contiguous block: the tokens nearest to one uniformly chosen token, itself included.

    Args:
        positions: (B, N, D) coordinates of the tokens, any device.
        ratio: share of the tokens to hide, or a (low, high) range from which each sample draws its own share uniformly
            (Point-BERT: .25 to .45); then samples hide different numbers of tokens.
        randomness: one CPU generator, one a sample, or None for torch's default.

    Returns:
        A dense mask on the CPU. Ties of distance go to the lower index.

    Raises:
        ValueError: ratio outside [0, 1), or a single token of which some should be hidden.

    Source: Yu et al., "Point-BERT", Section 3.3 (block-wise masking); Pang et al., "Point-MAE", Section 4.3 (block).
    """
    batch, length, _ = positions.shape
    draws = uniform(batch, 2, randomness).double()
    low, high = ratio if isinstance(ratio, tuple) else (ratio, ratio)
    if not 0 <= low <= high < 1:
        raise ValueError(f"a mask ratio is in [0, 1), a range is ascending, got {ratio}: some tokens must stay visible")
    if length < 2 and high > 0:
        raise ValueError(f"{length} token a sample cannot be split into hidden and visible")
    places = positions.detach().to("cpu", torch.float64)
    seed = (draws[:, 0] * length).long().clamp(max=length - 1)
    distance = (places - places[torch.arange(batch), seed].unsqueeze(1)).square().sum(-1)
    if isinstance(ratio, tuple):
        counts = [count_hidden(length, low + (high - low) * float(share)) for share in draws[:, 1]]
    else:
        counts = [count_hidden(length, ratio)] * batch
    return _hide_lowest(distance, torch.tensor(counts).unsqueeze(1))


def _hide_lowest(scores: Tensor, count: int | Tensor) -> Mask:
    rank = scores.argsort(dim=1, stable=True).argsort(dim=1)
    return Mask(rank < count)


def count_within(chosen: Tensor, offsets: Tensor) -> Tensor:
    """How many tokens of every packed sample are chosen: (T,) bool, (B + 1,) -> (B,) int64."""
    ends = _starts(chosen.long())
    return ends[offsets[1:]] - ends[offsets[:-1]]


def _starts(lengths: Tensor) -> Tensor:
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
