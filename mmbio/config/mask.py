"""Settings of the masks of sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config import at_least, shares


@dataclass
class TokenMaskConfig:
    """Which tokens are hidden, and what they become."""

    kind: Literal["random", "span", "contiguous", "regions", "whole_regions"] = "random"
    """Tokens each by itself, spans of geometric length, one run, tokens of regions (an antibody's CDRs), or whole regions."""
    ratio: float = 0.15
    """Share of a sequence's tokens that is hidden; of its tokens in regions (regions), of its regions (whole_regions)."""
    mask_share: float = 0.8
    """Share of the hidden tokens that become the mask token."""
    random_share: float = 0.1
    """Share that become a random token; the rest stay as they are and are scored all the same."""
    span_stop: float = 0.2
    """Chance that a span ends after a token; spans are cut to ten (span)."""

    def __post_init__(self) -> None:
        shares(self, "ratio")
        at_least(self, 0, "mask_share", "random_share")
        if self.mask_share + self.random_share > 1:
            raise ValueError(f"mask_share {self.mask_share}: with random_share {self.random_share} more than all")
        if not 0 < self.span_stop <= 1:
            raise ValueError(f"span_stop {self.span_stop}: expected a chance above 0 and at most 1")
