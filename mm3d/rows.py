"""Shapes as rows of panels: what is drawn of a model's work on one cloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.reporting.palette import INPUT, RECONSTRUCTED, VISIBLE

Cloud = NDArray[np.floating]


class Part(NamedTuple):
    """Points (N, 3) of one kind: one ``#rrggbb`` or (N, 3) colours in [0, 1], and what they are ("" for no legend)."""

    points: Cloud
    colour: str | Cloud
    label: str = ""


class Panel(NamedTuple):
    """One picture of a row."""

    title: str
    parts: tuple[Part, ...]


class Row(Protocol):
    """What pictures ask of a row; all panels share the frame of the input."""

    @property
    def input(self) -> Cloud: ...

    @property
    def title(self) -> str: ...

    def checked(self) -> Row:
        """The row in float64; a UserError that names it where coordinates are not finite."""

    def panels(self) -> tuple[Panel, ...]: ...

    def caption(self) -> str: ...


class PictureRow(NamedTuple):
    """One shape: all (N, 3), visible (V, 3) and reconstructed hidden (R, 3) points, one frame."""

    input: Cloud
    visible: Cloud
    reconstruction: Cloud
    title: str

    def checked(self) -> PictureRow:
        return PictureRow(
            finite(self.input, f"{self.title}, input"),
            finite(self.visible, f"{self.title}, visible points", empty=True),
            finite(self.reconstruction, f"{self.title}, reconstruction", empty=True),
            self.title,
        )

    def panels(self) -> tuple[Panel, ...]:
        given = Part(self.visible, VISIBLE, "given")
        return (
            Panel("input", (Part(self.input, INPUT, "input"),)),
            Panel("what the network saw", (given,)),
            Panel("what it made of that", (given, Part(self.reconstruction, RECONSTRUCTED, "reconstructed"))),
        )

    def caption(self) -> str:
        hidden = 1 - len(self.visible) / len(self.input)
        return (
            f"{len(self.input):,} points; the network saw {len(self.visible):,} of them ({hidden:.0%} hidden) "
            f"and drew {len(self.reconstruction):,}."
        )


class CodeRow(NamedTuple):
    """One shape and its codes: points (N, 3) and decoded points (M, 3), each with the colours of its patches' codes."""

    input: Cloud
    colours: Cloud
    decoded: Cloud
    decoded_colours: Cloud
    codes: int
    patches: int
    title: str

    def checked(self) -> CodeRow:
        points = finite(self.input, f"{self.title}, input")
        return self._replace(input=points, decoded=finite(self.decoded, f"{self.title}, decoded points"))

    def panels(self) -> tuple[Panel, ...]:
        return (
            Panel("input", (Part(self.input, INPUT, "input"),)),
            Panel("its codes", (Part(self.input, self.colours),)),
            Panel("what they decode to", (Part(self.decoded, self.decoded_colours),)),
        )

    def caption(self) -> str:
        return (
            f"{len(self.input):,} points in {self.patches} patches, which have {self.codes} different codes; "
            f"{len(self.decoded):,} points decoded. Codes that are alike in the codebook have like colours."
        )


def checked_rows(rows: Sequence[Row | tuple]) -> list[Row]:
    """Rows that can be drawn; a plain tuple is taken as a :class:`PictureRow`.

    Raises:
        UserError: no rows, an empty input, or coordinates that are not finite; names the row.
    """
    if not rows:
        raise UserError("reconstructions: no shapes to draw; expected at least one")
    return [_row(row).checked() for row in rows]


def _row(row: Row | tuple) -> Row:
    if not hasattr(row, "panels"):
        assert isinstance(row, tuple)
        return PictureRow(*row)
    return cast(Row, row)


def finite(points: Cloud, what: str, empty: bool = False) -> NDArray[np.float64]:
    """(N, 3) points in float64.

    Raises:
        UserError: another shape, or coordinates that are not finite, naming ``what``.
    """
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 3 or (len(array) == 0 and not empty):
        raise UserError(f"{what}: shape {array.shape}; expected (N, 3) points")
    bad = int((~np.isfinite(array).all(axis=1)).sum())
    if bad:
        raise UserError(f"{what}: NaN or infinite coordinates in {bad} of {len(array)} points")
    return array
