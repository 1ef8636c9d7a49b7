"""What Point-BERT draws for a batch: hidden and replaced patches of its three passes, and how clouds are mixed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from core.masking import Mask, block_mask
from core.random import Randomness, uniform
from mm3d.config import PointBERTConfig
from mm3d.layers.patches import Patches


class Replacement(NamedTuple):
    """Patches that are shown as others of the batch.

    ``chosen``: (B, G) bool, visible patches that are. ``source``: (B * G,) int64, a permutation: which patch of the flattened
    batch is shown in the place of each.
    """

    chosen: Tensor
    source: Tensor


class View(NamedTuple):
    """What a pass sees of the patches: hidden ones as a mask token, some replaced."""

    mask: Mask
    replacement: Replacement | None = None

    @property
    def scored(self) -> Mask:
        """Patches whose codes are to be named: the hidden and the replaced ones."""
        if self.replacement is None:
            return self.mask
        return Mask(self.mask.hidden | self.replacement.chosen)

    def to(self, device: torch.device | str) -> View:
        if self.replacement is None:
            return View(self.mask.to(device))
        return View(self.mask.to(device), Replacement(*(t.to(device) for t in self.replacement)))


class Mixing(NamedTuple):
    """How clouds are mixed with those of the reversed batch.

    ``share``: (B,) in [0, 1). ``kept``: (B, G) bool, patches that stay; the others are those of cloud B - 1 - b, at the same
    place of the list, with their own centres. A share of ``share`` of them is kept on average.
    """

    share: Tensor
    kept: Tensor

    def __call__(self, of_patches: Tensor) -> Tensor:
        """Mix anything that patches have: (B, G, ...) -> (B, G, ...)."""
        kept = self.kept.view(*self.kept.shape, *[1] * (of_patches.ndim - 2))
        return torch.where(kept, of_patches, of_patches.flip(0))

    def to(self, device: torch.device | str) -> Mixing:
        return Mixing(self.share.to(device), self.kept.to(device))


class PointBERTMask(NamedTuple):
    """All draws of a forward pass: views of the clouds, of the mixed clouds and of the clouds for the key network."""

    plain: View
    mixed: View
    key: View
    mixing: Mixing

    def to(self, device: torch.device | str) -> PointBERTMask:
        plain, mixed, key = (view.to(device) for view in (self.plain, self.mixed, self.key))
        return PointBERTMask(plain, mixed, key, self.mixing.to(device))


def draw_views(centers: Tensor, config: PointBERTConfig, randomness: Randomness = None) -> PointBERTMask:
    """Draw the masks of a batch, on the CPU.

    Args:
        centers: (B, G, 3), any device.
        randomness: one CPU generator, one a sample, or None for torch's default.
    """
    centers = centers.detach().cpu()
    batch, groups, _ = centers.shape
    plain = _draw_view(centers, config, randomness)
    draws = uniform(batch, 1 + groups, randomness)
    mixing = Mixing(draws[:, 0], draws[:, 1:] < draws[:, :1])
    return PointBERTMask(
        plain, _draw_view(mixing(centers), config, randomness), _draw_view(centers, config, randomness), mixing
    )


def mix_patches(patches: Patches, mixing: Mixing) -> Patches:
    """Clouds mixed with those of the reversed batch."""
    return Patches(mixing(patches.neighborhoods), mixing(patches.centers))


def scattered_mask(shape: tuple[int, int], share: tuple[float, float], randomness: Randomness = None) -> Mask:
    """Hide every token by itself with a probability that each sample draws from a range, at least one token.

    Args:
        shape: (B, N).
        share: the range, (low, high).
        randomness: one CPU generator, one a sample, or None for torch's default.

    Source: _mask_center_rand in models/Point_BERT.py of Point-BERT's official code, which draws one probability for all of a
    batch and may hide nothing.
    """
    batch, length = shape
    draws = uniform(batch, 1 + length, randomness)
    probability = share[0] + (share[1] - share[0]) * draws[:, :1]
    tokens = draws[:, 1:]
    return Mask((tokens < probability) | (tokens == tokens.amin(1, keepdim=True)))


def _draw_view(centers: Tensor, config: PointBERTConfig, randomness: Randomness) -> View:
    batch, groups, _ = centers.shape
    if config.mask == "block":
        mask = block_mask(centers, config.mask_range, randomness)
    else:
        mask = scattered_mask((batch, groups), config.mask_range, randomness)
    if not config.replace:
        return View(mask)
    draws = uniform(batch, 2 * groups, randomness)
    chosen = (draws[:, :groups] < config.replace) & ~mask.hidden
    return View(mask, Replacement(chosen, draws[:, groups:].flatten().argsort()))
