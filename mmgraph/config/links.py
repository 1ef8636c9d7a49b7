"""Settings of link prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config import at_least


@dataclass
class LinksConfig:
    """Edges of one graph that are set aside, by the training seed, to choose the epoch and to score it."""

    val: float = 0.05
    """Share of the undirected edges that validation takes."""
    test: float = 0.1
    """Share that the test takes."""
    test_sees: Literal["train and val", "train"] = "train and val"
    """The edges that are looked at when the test is scored (MGAE: those of training only)."""
    train_on_all: bool = False
    """Train on all edges, those of validation and test too. Then only nodes can be scored, links not."""
    every: int = 10
    """Epochs between two validations; the weights of the best area under the curve are kept."""

    def __post_init__(self) -> None:
        at_least(self, 1, "every")
        if not (self.val > 0 and self.test > 0 and self.val + self.test < 1):
            raise ValueError(f"val {self.val}, test {self.test}: expected shares of the edges that leave some to train")
