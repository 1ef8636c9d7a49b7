"""Sequences that are longer than a model's positions, cut into windows."""

from __future__ import annotations

from typing import Any, NamedTuple


class Window(NamedTuple):
    """Tokens ``begin`` to ``end`` of a sequence are read, and ``first`` to ``last`` of it are what the window speaks for."""

    begin: int
    end: int
    first: int
    last: int


def own_longest(model: Any) -> int | None:
    """Tokens of a text that fit into a model, begin and end not counted; None for any number."""
    return None if model.longest is None else model.longest - model.vocabulary.around


def windows(length: int, longest: int | None) -> list[Window]:
    """A sequence as as few windows of equal length as overlap by half or more; each token belongs to one of them.

    A window of ``longest`` tokens begins every ``longest`` / 2 or less, evenly from the first token to the last; where two
    overlap, the middle of the overlap parts them, so that every token is read with as much around it as can be.

    Args:
        length: tokens of the sequence, begin and end not counted.
        longest: that fit, likewise; None for any number.

    Raises:
        ValueError: nothing fits.
    """
    if longest is not None and longest < 1:
        raise ValueError(f"windows of {longest} tokens")
    if longest is None or length <= longest:
        return [Window(0, length, 0, length)]
    step = max(longest // 2, 1)
    count = -(-(length - longest) // step) + 1
    begins = [round(i * (length - longest) / (count - 1)) for i in range(count)]
    bounds = [0, *((a + longest + b) // 2 for a, b in zip(begins[1:], begins[:-1], strict=True)), length]
    return [Window(b, b + longest, first, last) for b, first, last in zip(begins, bounds[:-1], bounds[1:], strict=True)]
