"""PMLM: hidden residues are also told in pairs, so that the model learns which of them change together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.losses import cross_entropy
from core.masked_model import Objective
from core.masking import Mask
from core.random import Randomness, uniform_packed
from core.token_masks import TokenMask
from mmbio.config import PMLMConfig
from mmbio.models.esm2 import ESM2
from mmbio.proteins.alphabet import ESM
from mmbio.sequences import Sequences

LETTERS = [ESM.ids[token] for token in ESM.hideable]
"""Ids of residues that masks may hide: a pair of them is a class."""


class PairMask(TokenMask):
    """A mask of tokens with the pairs of hidden tokens that are scored.

    Args:
        hidden, offsets, written: as in :class:`~core.token_masks.TokenMask`.
        pairs: (P, 2) int64, numbers of hidden tokens in ascending order; both of one sequence, the earlier first.
    """

    def __init__(self, hidden: Tensor, offsets: Tensor, written: Tensor, pairs: Tensor) -> None:
        super().__init__(hidden, offsets, written)
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise ValueError(f"pairs {tuple(pairs.shape)}; expected (P, 2)")
        self.pairs = pairs

    def to(self, device: torch.device | str) -> PairMask:
        assert self.offsets is not None
        parts = (self.hidden, self.offsets, self.written, self.pairs)
        return PairMask(*(part.to(device) for part in parts))


def pairs_of(mask: Mask) -> Tensor:
    """The pairs that are scored under a mask, (P, 2): none under a mask that names none."""
    return mask.pairs if isinstance(mask, PairMask) else mask.hidden.new_zeros(0, 2, dtype=torch.long)


class PairHead(nn.Module):
    """Joint logits of two hidden residues: (T, C) -> (P, K x K).

    A linear layer on both features one after the other, GELU, layer norm, a linear layer.
    """

    def __init__(self, dim: int, letters: int) -> None:
        super().__init__()
        self.first = nn.Linear(dim, dim)
        self.second = nn.Linear(dim, dim, bias=False)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, letters * letters)

    def forward(self, latent: Tensor, inputs: Sequences, mask: Mask) -> Tensor:
        hidden = latent[mask.hidden_index]  # a product with each token instead of with each pair
        first, second = pairs_of(mask).unbind(1)
        return self.out(self.norm(F.gelu(self.first(hidden)[first] + self.second(hidden)[second])))


class PMLM(ESM2):
    """ESM-2 that predicts hidden residues one by one and in pairs.

    The likelihood of a pair is not the product of two: what is learned of it is what residues tell of each other.
    What the paper's abstract says is all that was at hand: hidden residues are told one by one and in pairs. The form of the
    pair head (a linear layer on both features), the sum of the two losses, 24 x 24 classes, and how many pairs are drawn are
    ours: no code was released.

    Args:
        config: sizes, masks, pairs.

    Shapes: as :class:`~mmbio.models.esm2.ESM2`, with a second part ``pair``; under a mask that names no pairs (a plain
    :class:`~core.token_masks.TokenMask`) none are scored.

    Source: He et al., "Pre-training Co-evolutionary Protein Representation via A Pairwise Masked Language Model",
    arXiv 2110.15527.
    """

    Config = PMLMConfig

    def __init__(self, config: PMLMConfig) -> None:
        head = PairHead(config.dim, len(LETTERS))
        super().__init__(config, {"pair": Objective(head, pair_classes, pair_loss, config.pair_weight)})

    def draw_mask(self, batch: Sequences, randomness: Randomness = None) -> PairMask:
        """Hidden tokens as ESM-2's, and the pairs of them that are scored; both drawn from the generators."""
        mask = super().draw_mask(batch, randomness)
        assert mask.offsets is not None
        pairs = draw_pairs(mask.counts.tolist(), self.config.pairs, randomness)
        return PairMask(mask.hidden, mask.offsets, mask.written, pairs)


def draw_pairs(counts: list[int], most: int, randomness: Randomness = None) -> Tensor:
    """Pairs of hidden tokens, within each sequence: all, or ``most`` of them with equal chances: (P, 2) int64.

    Args:
        counts: hidden tokens of every sequence.
    """
    totals = [count * (count - 1) // 2 for count in counts]
    draws = uniform_packed(totals, randomness).split(totals)
    found, begin = [torch.zeros(0, 2, dtype=torch.long)], 0
    for count, draw in zip(counts, draws, strict=True):
        pairs = torch.triu_indices(count, count, 1).T
        if len(pairs) > most:
            pairs = pairs[draw.argsort()[:most].sort().values]
        found.append(pairs + begin)
        begin += count
    return torch.cat(found)


def pair_classes(batch: Sequences, mask: Mask) -> Tensor:
    """The class of each scored pair, from the true residues: (P,)."""
    number = torch.full((len(ESM),), -1, device=batch.ids.device)
    number[LETTERS] = torch.arange(len(LETTERS), device=batch.ids.device)
    first, second = number[batch.ids[mask.hidden_index]][pairs_of(mask)].unbind(1)
    return first * len(LETTERS) + second


def pair_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy; zero where a batch has no pair."""
    return cross_entropy(logits, classes) if len(classes) else logits.sum()
