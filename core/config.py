"""Dataclasses to plain dictionaries and back, with errors that name the key. Free of torch."""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Callable
from typing import Any

from core.errors import UserError


def from_dict(kind: type, values: dict[str, Any], where: str) -> Any:
    """Build a dataclass, nested ones included, from the dictionary that ``dataclasses.asdict`` gave.

    Raises:
        UserError: an unknown key (with the nearest known one) or a missing required one, naming ``where``.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected keys and values of {kind.__name__}, got {values!r}")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    built = {}
    for key, value in values.items():
        if key not in names:
            raise UserError(f"{where}: unknown key {key!r} of {kind.__name__}{did_you_mean(key, names)}")
        if dataclasses.is_dataclass(hints[key]):
            value = from_dict(typing.cast(type, hints[key]), value, f"{where}: {key}")
        elif isinstance(value, list):
            value = tuple(value)
        built[key] = value
    try:
        return kind(**built)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}") from error


def at_least(config: object, minimum: float, *names: str) -> None:
    """Refuse fields of a configuration that are below ``minimum`` or not finite; for ``__post_init__``.

    Raises:
        ValueError: beginning with the field's name, as all checks of configurations do.
    """
    _refuse(config, names, lambda value: value >= minimum and math.isfinite(value), f"at least {minimum}")


def within(config: object, low: float, high: float, *names: str) -> None:
    """Refuse fields of a configuration outside [low, high), NaN among them; for ``__post_init__``.

    Raises:
        ValueError: beginning with the field's name.
    """
    _refuse(config, names, lambda value: low <= value < high, f"at least {low} and less than {high}")


def shares(config: object, *names: str) -> None:
    """Refuse fields of a configuration that are no share of something, strictly between 0 and 1; for ``__post_init__``.

    Raises:
        ValueError: beginning with the field's name.
    """
    _refuse(config, names, lambda value: 0 < value < 1, "a share between 0 and 1")


def more_than_zero(config: object, *names: str) -> None:
    """Refuse fields of a configuration that are not above 0, NaN among them; for ``__post_init__``.

    Raises:
        ValueError: beginning with the field's name.
    """
    _refuse(config, names, lambda value: value > 0, "more than 0")


def _refuse(config: object, names: tuple[str, ...], fits: Callable[[Any], bool], expected: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not fits(value):
            raise ValueError(f"{name} {value}: expected {expected}")


def divided_by_heads(config: Any, even: bool = False) -> None:
    """Refuse a ``dim`` that the ``heads`` of a configuration do not divide; for ``__post_init__``.

    Args:
        even: every head's width must be even too, as rotary positions need it.

    Raises:
        ValueError: beginning with ``dim``.
    """
    if config.dim % (config.heads * (2 if even else 1)):
        raise ValueError(
            f"dim {config.dim}: expected {'an even' if even else 'a'} multiple of the {config.heads} heads"
        )


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest known word, or the list of known ones where none is near."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""
