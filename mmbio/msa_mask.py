"""AlphaFold 2's masks of alignments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from core.random import Randomness, uniform_packed
from core.token_masks import TokenMask
from mmbio.alignments import Alignments, profile_of


class CellCorruption(NamedTuple):
    """What a hidden cell becomes: by chance one of ``random_ids``, a token of its column's profile, itself, or else the mask.

    Source: Jumper et al., "Highly accurate protein structure prediction with AlphaFold", supplement, Section 1.2.7.
    """

    mask_id: int
    random_ids: tuple[int, ...]
    uniform_share: float = 0.1
    profile_share: float = 0.1
    same_share: float = 0.1


def replacement_chances(ids: Tensor, profile: Tensor, tokens: int, corruption: CellCorruption) -> Tensor:
    """The distribution that hidden cells are drawn from: (R, C), (C, tokens) -> (R, C, tokens); sums are 1.

    A profile with no share for the last tokens (AlphaFold 2 counts 22 classes, without the mask) may be narrower.
    """
    random, profile_share, same = corruption.uniform_share, corruption.profile_share, corruption.same_share
    chances = torch.zeros(*ids.shape, tokens)
    chances[..., list(corruption.random_ids)] = random / len(corruption.random_ids)
    chances[..., : profile.shape[1]] += profile_share * profile
    chances += same * torch.nn.functional.one_hot(ids, tokens)
    chances[..., corruption.mask_id] += 1 - random - profile_share - same
    return chances


def draw_cells(chances: Tensor, draws: Tensor) -> Tensor:
    """A token a cell by its distribution: (N, tokens), (N,) uniform draws in [0, 1) -> (N,) int64."""
    ends = chances.double().cumsum(-1)
    found = torch.searchsorted(ends, (draws.double() * ends[..., -1]).unsqueeze(-1), right=True).squeeze(-1)
    return found.clamp(max=chances.shape[-1] - 1)


def hidden_cells(draws: Tensor, usable: Tensor, ratio: float) -> Tensor:
    """Cells whose draw is below the ratio, and at least the lowest: (N,), (N,) bool -> (N,) bool.

    Every cell is decided by itself, as officially; the count varies.
    """
    hidden = (draws < ratio) & usable
    if usable.any() and not hidden.any():
        hidden[torch.where(usable, draws, 2.0).argmin()] = True
    return hidden


def masked_cells(
    batch: Alignments,
    usable: Tensor,
    tokens: int,
    ratio: float,
    corruption: CellCorruption,
    randomness: Randomness = None,
) -> TokenMask:
    """Hide cells of alignments and draw what is read in their place.

    Args:
        batch: on the CPU.
        usable: (T,) bool, cells that may be hidden: not the begin token.
        tokens: number of token ids.
        ratio: chance of a cell to be hidden.
        corruption: what hidden cells become.
        randomness: one CPU generator, one an alignment, or None for torch's default.

    Source: Jumper et al., supplement, Section 1.2.7; make_masked_msa in aqlaboratory/openfold, whose generator draws the
    positions and not what is put there.
    """
    places, picks = uniform_packed(batch.cells, randomness), uniform_packed(batch.cells, randomness)
    profiles = _profiles(batch, tokens)
    hidden, written = [], []
    for ids, profile, may, place, pick in zip(
        batch.split(), profiles, batch.split(usable), places.split(batch.cells), picks.split(batch.cells), strict=True
    ):
        hidden.append(hidden_cells(place, may.flatten(), ratio))
        columns = torch.arange(ids.shape[1]).repeat(ids.shape[0])[hidden[-1]]
        chances = replacement_chances(ids.flatten()[hidden[-1]], profile[columns], tokens, corruption)
        written.append(draw_cells(chances, pick[hidden[-1]]))
    return TokenMask(torch.cat(hidden), batch.offsets, torch.cat(written))


def _profiles(batch: Alignments, tokens: int) -> Sequence[Tensor]:
    if batch.profiles is None:
        return [profile_of(ids, tokens) for ids in batch.split()]
    return batch.profiles.split([columns for _, columns in batch.shapes])
