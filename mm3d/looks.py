"""What a model answers when somebody wants to see what it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from core.errors import UserError
from core.random import Randomness
from mm3d.rows import PictureRow, Row


class Picture(NamedTuple):
    """A picture of a report: heading, PNG and caption."""

    heading: str
    path: Path
    caption: str


class Looks:
    """A model whose work on clouds can be looked at; the commands and the reports ask these questions."""

    def look(self, points: Tensor, names: Sequence[str], randomness: Randomness = None) -> Sequence[Row]:
        """Rows of panels of clouds (B, N, 3), with masks from the generators."""
        raise NotImplementedError

    def shown(self) -> str:
        """A sentence that stands below such pictures."""
        raise NotImplementedError

    def pictures(self, points: Tensor, out: str | Path, up: str = "y") -> list[Picture]:
        """Further pictures of what the model makes of clouds, written as OUT-SOMETHING.png; none unless a model has them."""
        return []

    def hide(self, ratio: float) -> None:
        """Hide this share of the patches from now on.

        Raises:
            UserError: a model that hides nothing.
        """
        raise UserError(f"a {type(self).__name__} hides nothing")


def masked_rows(model: Any, points: Tensor, names: Sequence[str], randomness: Randomness = None) -> list[PictureRow]:
    """Input, visible and reconstructed points, of a masked model whose ``reconstruct`` gives a Reconstruction."""
    made = model.reconstruct(points, model.draw_mask(points, randomness))
    rows = []
    for index, name in enumerate(names):
        visible, predicted = made.of_cloud(index)
        rows.append(PictureRow(points[index].numpy(), visible.numpy(), predicted.numpy(), name))
    return rows
