"""Settings of what a model of sequences or of molecular graphs is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.config import at_least, within


@dataclass
class HeldOutConfig:
    """Which sequences are trained on, and which are looked at."""

    most: int = 0
    """At most so many different sequences are trained on, drawn once for all seeds; 0 for all."""
    held_out: float = 0.05
    """Share of the sequences that is not trained on and tells the perplexity; data with a validation part gives that."""
    held_out_most: int = 1000
    """At most so many sequences are held out."""
    every: int = 1
    """Epochs between two looks at what is held out."""

    def __post_init__(self) -> None:
        at_least(self, 1, "every")
        at_least(self, 0, "most", "held_out_most")
        within(self, 0, 1, "held_out")


@dataclass
class TextConfig(HeldOutConfig):
    """How sequences are taken from the data."""

    longest: int = 1022
    """Tokens of a sequence, begin and end not counted; of longer ones another window is cut out every time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "longest")


@dataclass
class GraphDataConfig(HeldOutConfig):
    """How molecules are taken from the data as graphs, which are never cut."""

    longest: ClassVar[int] = 0
