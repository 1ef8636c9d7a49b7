"""Settings of the probe of residues."""

from __future__ import annotations

from dataclasses import dataclass

from core.config import at_least


@dataclass
class ResidueProbeConfig:
    """The linear layer that is trained on frozen features of residues."""

    epochs: int = 10
    """Passes over the residues of the training part; the one of best validation score is kept."""
    batch_size: int = 1024
    """Residues a step."""
    lr: float = 1e-3
    """Learning rate of Adam; it falls to zero on a straight line."""
    weight_decay: float = 0.0
    """L2 penalty of Adam."""
    window: int = 1
    """More than 1, an odd number: a second layer reads the features of so many residues to tell the one in the middle."""

    def __post_init__(self) -> None:
        at_least(self, 1, "epochs", "batch_size", "window")
        at_least(self, 0, "lr", "weight_decay")
        if self.window % 2 == 0:
            raise ValueError(f"window {self.window}: expected an odd number")
