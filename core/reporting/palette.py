"""Colours that colour-blind readers can tell apart, shared by every picture of the project."""

from __future__ import annotations

# Okabe and Ito, "Color Universal Design" (2008), without black, the first few the most different;
# the yellow, hardly seen on white, comes last.
CATEGORICAL = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")  # matplotlib's names

INPUT = "#7A8898"  # what was there
VISIBLE = "#0072B2"  # what the network was given
RECONSTRUCTED = "#E69F00"  # what the network made of the rest
INK = "#22272E"
FAINT = "#D5DAE0"


def class_style(index: int) -> tuple[str, str]:
    """Colour and marker of a class: all colours with one marker, then all with the next; 72 differ."""
    return CATEGORICAL[index % len(CATEGORICAL)], MARKERS[index // len(CATEGORICAL) % len(MARKERS)]


def rgb(colour: str) -> tuple[float, float, float]:
    """Red, green and blue in [0, 1] of ``#rrggbb``.

    Raises:
        ValueError: not of that form.
    """
    if len(colour) != 7 or colour[0] != "#":
        raise ValueError(f"{colour}: expected #rrggbb")
    return int(colour[1:3], 16) / 255, int(colour[3:5], 16) / 255, int(colour[5:7], 16) / 255
