"""Models for files that the user has: what every kind of model answers the commands.

Models on clouds, on voxels and on pillars of sweeps read other files and draw other pictures. Each has a module with two
functions, which :func:`answers_of` finds by the model that was saved:

``embed(run, words, on_error, device) -> Embedded`` and ``look(run, words, out, seed, mask_ratio, on_error) -> Looked``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np

from core.errors import UserError

OnError = Literal["stop", "skip"]
Skipped = Sequence[tuple[str, str]]
"""Files that could not be used, each with the reason."""


class Embedded(NamedTuple):
    """Features (M, F) float32 of files, and their names."""

    features: np.ndarray
    names: Sequence[str]
    skipped: Skipped


class Looked(NamedTuple):
    """Pictures and pages that were written, and tables to print before them."""

    paths: Sequence[Path]
    tables: Sequence[str]
    skipped: Skipped


class Answers(Protocol):
    """A module of one kind of models."""

    def embed(self, run: str, words: Sequence[str], on_error: OnError, device: str) -> Embedded: ...

    def look(
        self, run: str, words: Sequence[str], out: str, seed: int, mask_ratio: float | None, on_error: OnError
    ) -> Looked: ...


def answers_of(run: str) -> Answers:
    """The module that answers for a saved model.

    Raises:
        UserError: no model there.
    """
    from mm3d.clouds import files as clouds
    from mm3d.pillars import files as pillars
    from mm3d.pillars.features import takes_pillars
    from mm3d.voxels import files as voxels
    from mm3d.voxels.features import takes_sweeps

    if takes_pillars(run):
        return pillars
    return voxels if takes_sweeps(run) else clouds


def check_ratio(mask_ratio: float) -> None:
    """See that a share of what is hidden, as the user gave it, is one.

    Raises:
        UserError: it is not between 0 and 1.
    """
    if not 0 < mask_ratio < 1:
        raise UserError(f"--mask_ratio {mask_ratio}: expected a share between 0 and 1")


def tell_skipped(skipped: Skipped) -> None:
    """Say which files were left out, and why."""
    for name, reason in skipped:
        print(f"skipped {name}: {reason.removeprefix(f'{name}: ')}")
