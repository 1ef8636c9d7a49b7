"""Arrays of the official implementations, and how near ours must come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class Golden:
    """Arrays and weights of one golden file."""

    def __init__(self, path: Path) -> None:
        self.arrays = {
            name: torch.from_numpy(np.asarray(array)) for name, array in np.load(path, allow_pickle=False).items()
        }
        self.state = self.under("weight/")

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[name]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Arrays whose names begin so, without that."""
        return {name.removeprefix(prefix): t for name, t in self.arrays.items() if name.startswith(prefix)}


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-5) -> None:
    """Within ``tolerance`` of the largest entry."""
    assert ours.shape == theirs.shape
    assert float(((ours - theirs).abs().max() / theirs.abs().max()).detach()) < tolerance


def listed_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a list of keys."""
    lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
    return {line[0]: tuple(int(n) for n in line[1].strip("()").split(",") if n.strip()) for line in lines}
