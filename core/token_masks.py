"""Masks of token ids: which tokens are scored, and what the network reads in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from core.masking import Mask, count_hidden, count_within, counted_mask_packed
from core.random import Randomness, uniform, uniform_packed


class TokenMask(Mask):
    """A packed mask whose hidden tokens each have an id that the network reads instead of their own.

    The id is that of the mask token, of a random token, or the token's own: in BERT's scheme a hidden token is one that is
    scored, not always one that is out of sight.

    Args:
        hidden: (T,) bool.
        offsets: (B + 1,) int64.
        written: (M,) int64, an id for each hidden token in ascending order.

    Raises:
        ValueError: another number of ids than hidden tokens.
    """

    def __init__(self, hidden: Tensor, offsets: Tensor, written: Tensor) -> None:
        super().__init__(hidden, offsets)
        if len(written) != len(self.hidden_index):
            raise ValueError(f"{len(written)} ids to write for {len(self.hidden_index)} hidden tokens")
        self.written = written

    def to(self, device: torch.device | str) -> TokenMask:
        assert self.offsets is not None
        return TokenMask(self.hidden.to(device), self.offsets.to(device), self.written.to(device))

    def write(self, ids: Tensor) -> Tensor:
        """What the network reads: a copy of the ids (T,) with the hidden ones overwritten."""
        return ids.index_copy(0, self.hidden_index, self.written)


class Corruption(NamedTuple):
    """What hidden tokens become: the mask token, one of ``random_ids`` with equal chances, or what is left: themselves.

    Source: Devlin et al., "BERT", Section 3.1 and Appendix A.1 (80 %, 10 %, 10 %).
    """

    mask_id: int
    random_ids: tuple[int, ...]
    mask_share: float = 0.8
    random_share: float = 0.1


def random_tokens(
    ids: Tensor, offsets: Tensor, usable: Tensor, ratio: float, corruption: Corruption, randomness: Randomness = None
) -> TokenMask:
    """Hide uniformly chosen tokens of every sequence, :func:`~core.masking.count_hidden` of its usable ones.

    BERT and its followers decide for every token by itself, so that counts vary and a short sequence may hide nothing;
    here the count is exact, and is at least one.

    Args:
        ids: (T,) int64 of packed sequences, on the CPU.
        offsets: (B + 1,) int64.
        usable: (T,) bool, tokens that may be hidden; special tokens are not.
        ratio: share of the usable tokens.
        corruption: what they become.
        randomness: one CPU generator, one a sequence, or None for torch's default.

    Raises:
        ValueError: ratio outside [0, 1).

    Source: Devlin et al., "BERT", Section 3.1.
    """
    lengths = count_within(usable, offsets).tolist()
    chosen = _counted(lengths, [count_hidden(n, ratio) for n in lengths], randomness)
    return _corrupt(ids, offsets, _spread(chosen, usable), corruption, randomness)


def span_tokens(
    ids: Tensor,
    offsets: Tensor,
    usable: Tensor,
    ratio: float,
    corruption: Corruption,
    randomness: Randomness = None,
    stop: float = 0.2,
    longest: int = 10,
) -> TokenMask:
    """Hide spans of neighbouring tokens, whose lengths are geometric, until the count is reached exactly.

    Spans start at usable tokens chosen in random order and run over usable tokens only; the last is cut to the count. A
    whole span becomes mask tokens, random tokens, or stays as it is.

    Args:
        stop: chance that a span ends after a token; the mean length of a span is about 1 / ``stop``.
        longest: longer spans are cut to this, as the source does.

    Other arguments and errors as :func:`random_tokens`; also raises ValueError where ``stop`` is not in (0, 1].

    Source: Joshi et al., "SpanBERT", Section 3.1 (p = 0.2, at most 10, replacement by whole spans).
    """
    if not 0 < stop <= 1 or longest < 1:
        raise ValueError(f"stop {stop}, longest {longest}: expected a chance in (0, 1] and at least 1 token")
    lengths = count_within(usable, offsets).tolist()
    rest = torch.tensor([(1 - stop) ** (n - 1) for n in range(2, longest + 1)])  # chances to be at least n long
    order = uniform_packed(lengths, randomness)
    size = uniform_packed(lengths, randomness)
    sizes = 1 + (size.unsqueeze(1) < rest).sum(1)
    hidden, groups, begin = [], [], 0
    for length in lengths:
        share = slice(begin, begin + length)
        spans = _fill_spans(order[share].argsort().tolist(), sizes[share].tolist(), count_hidden(length, ratio))
        groups.append(torch.tensor(spans, dtype=torch.long))
        hidden.append(groups[-1] >= 0)
        begin += length
    packed = torch.cat(hidden) if hidden else torch.zeros(0, dtype=torch.bool)
    group = torch.cat(groups)[packed] if groups else None
    return _corrupt(ids, offsets, _spread(packed, usable), corruption, randomness, group)


def contiguous_tokens(
    ids: Tensor, offsets: Tensor, usable: Tensor, ratio: float, corruption: Corruption, randomness: Randomness = None
) -> TokenMask:
    """Hide one run of neighbouring usable tokens a sequence, of :func:`~core.masking.count_hidden`, at a uniform place.

    Arguments and errors as :func:`random_tokens`. The whole run becomes mask tokens, random tokens, or stays as it is.
    """
    lengths = count_within(usable, offsets).tolist()
    places = uniform(len(lengths), 1, randomness).squeeze(1).tolist()
    hidden = []
    for length, place in zip(lengths, places, strict=True):
        count = count_hidden(length, ratio)
        start = min(int(place * (length - count + 1)), length - count)
        run = torch.zeros(length, dtype=torch.bool)
        run[start : start + count] = True
        hidden.append(run)
    packed = torch.cat(hidden) if hidden else torch.zeros(0, dtype=torch.bool)
    group = torch.zeros(int(packed.sum()), dtype=torch.long)
    return _corrupt(ids, offsets, _spread(packed, usable), corruption, randomness, group)


def given_tokens(ids: Tensor, offsets: Tensor, hidden: Tensor, corruption: Corruption) -> TokenMask:
    """Hide exactly the tokens that are given, each behind the mask token: (T,) bool."""
    return TokenMask(hidden, offsets, torch.full((int(hidden.sum()),), corruption.mask_id))


def _counted(lengths: Sequence[int], counts: Sequence[int], randomness: Randomness) -> Tensor:
    """(sum of lengths,) bool; a sequence may have no usable token at all."""
    some = [i for i, n in enumerate(lengths) if n]
    if randomness is not None and not isinstance(randomness, torch.Generator):
        randomness = [randomness[i] for i in some]
    if not some:
        return torch.zeros(0, dtype=torch.bool)
    return counted_mask_packed([lengths[i] for i in some], [counts[i] for i in some], randomness).hidden


def _spread(chosen: Tensor, usable: Tensor) -> Tensor:
    """A choice among usable tokens as one among all."""
    hidden = torch.zeros_like(usable)
    hidden[usable] = chosen
    return hidden


def _fill_spans(starts: Sequence[int], sizes: Sequence[int], count: int) -> list[int]:
    """For each place the number of the span that covers it, -1 for none; ``count`` places are covered."""
    covered, left = [-1] * len(starts), count
    for number, start in enumerate(starts):
        for place in range(start, min(start + sizes[start], len(starts))):
            if left == 0:
                return covered
            if covered[place] < 0:
                covered[place] = number
                left -= 1
    return covered


def _corrupt(
    ids: Tensor,
    offsets: Tensor,
    hidden: Tensor,
    corruption: Corruption,
    randomness: Randomness,
    group: Tensor | None = None,
) -> TokenMask:
    """Decide what each hidden token becomes; tokens of one group (within a sequence) share the decision, not the id."""
    mask_id, random_ids, mask_share, random_share = corruption
    lengths = count_within(hidden, offsets).tolist()
    fate, pick = uniform_packed(lengths, randomness), uniform_packed(lengths, randomness)
    if group is not None and len(group):
        sample = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        key = sample * (int(group.max()) + 1) + group
        _, inverse = key.unique(return_inverse=True)
        first = torch.full((int(inverse.max()) + 1,), len(key)).scatter_reduce(
            0, inverse, torch.arange(len(key)), "amin"
        )
        fate = fate[first[inverse]]
    own = ids[hidden]
    drawn = torch.tensor(random_ids, dtype=torch.long)[(pick * len(random_ids)).long().clamp(max=len(random_ids) - 1)]
    written = torch.where(fate < mask_share, mask_id, torch.where(fate < mask_share + random_share, drawn, own))
    return TokenMask(hidden, offsets, written)
