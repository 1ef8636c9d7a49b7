"""Settings of what a language model is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from core.config import at_least, within


@dataclass
class TextConfig:
    """How sequences are taken from the data."""

    longest: int = 1022
    """Tokens of a sequence, begin and end not counted; of longer ones another window is cut out every time."""
    held_out: float = 0.05
    """Share of the sequences that is not trained on and tells the perplexity; data with a validation part gives that."""
    held_out_most: int = 1000
    """At most so many sequences are held out."""
    every: int = 1
    """Epochs between two looks at what is held out."""

    def __post_init__(self) -> None:
        at_least(self, 1, "longest", "every")
        at_least(self, 0, "held_out_most")
        within(self, 0, 1, "held_out")
