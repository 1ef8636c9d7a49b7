"""Masks of regions, such as the loops (CDRs) of antibodies."""

from __future__ import annotations

import torch
from torch import Tensor

from core.masking import count_hidden
from core.random import Randomness, uniform
from core.token_masks import Corruption, TokenMask, given_tokens, random_tokens


def region_tokens(
    ids: Tensor,
    offsets: Tensor,
    usable: Tensor,
    regions: Tensor,
    ratio: float,
    corruption: Corruption,
    randomness: Randomness = None,
) -> TokenMask:
    """Hide uniformly chosen tokens of regions, :func:`~core.masking.count_hidden` of those of each sequence.

    A sequence without regions hides nothing.

    Args:
        ids: (T,) int64 of packed sequences, on the CPU.
        offsets: (B + 1,) int64.
        usable: (T,) bool, tokens that may be hidden.
        regions: (T,), 0 or the number of a token's region.
        ratio: share of a sequence's tokens in regions.
        corruption: what they become.
        randomness: one CPU generator, one a sequence, or None for torch's default.

    Source: Gao et al., "Pre-training Antibody Language Models for Antigen-Specific Computational Antibody Design",
    Section 3.2 (half of the residues of CDRs, 80 %, 10 %, 10 %).
    """
    return random_tokens(ids, offsets, usable & (regions > 0), ratio, corruption, randomness)


def whole_regions(
    ids: Tensor,
    offsets: Tensor,
    usable: Tensor,
    regions: Tensor,
    share: float,
    corruption: Corruption,
    randomness: Randomness = None,
) -> TokenMask:
    """Hide all tokens of some regions behind the mask token: of a sequence's regions a share, at least one.

    Where a sequence has one region only it is hidden; of more at least one stays visible.

    Arguments as :func:`region_tokens`.
    """
    free = torch.where(usable, regions.long(), 0)
    count, kinds = len(offsets) - 1, int(free.max()) + 1 if len(free) else 1
    sample = torch.repeat_interleave(torch.arange(count), offsets.diff())
    there = torch.zeros(count, kinds, dtype=torch.bool)
    there[sample, free] = True
    there[:, 0] = False
    order = torch.where(there, uniform(count, kinds, randomness), 2.0).argsort(1).argsort(1)
    counts = torch.tensor([max(count_hidden(n, share), min(n, 1)) for n in there.sum(1).tolist()])
    chosen = there & (order < counts.unsqueeze(1))
    return given_tokens(ids, offsets, chosen[sample, free], corruption)


def one_region(
    ids: Tensor, offsets: Tensor, usable: Tensor, regions: Tensor, number: int, corruption: Corruption
) -> TokenMask:
    """Hide all usable tokens of one region (1, 2, 3 for CDR-H1, H2, H3; 0 for what is in none) behind the mask token."""
    return given_tokens(ids, offsets, usable & (regions == number), corruption)
