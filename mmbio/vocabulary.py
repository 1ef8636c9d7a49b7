"""Vocabularies: which tokens there are, what a text becomes, and which tokens masks may touch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from core.errors import UserError


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids, and the part that some of them play.

    Args:
        name: for messages.
        tokens: id -> token.
        split: a text as tokens; raises UserError where it cannot be read.
        mask: the mask token.
        pad: the padding token; nothing here pads, but official weights have it.
        begin: put before every sequence, None for nothing.
        end: put behind every sequence, None for nothing.
        unknown: stands for tokens that are not in the vocabulary, None where they are an error.
        drawn: tokens that random replacements are drawn from.
        hideable: tokens that masks may hide; those drawn where none are named.
        kind: what its texts are.
    """

    name: str
    tokens: tuple[str, ...]
    split: Callable[[str], Sequence[str]]
    mask: str
    pad: str
    begin: str | None
    end: str | None
    unknown: str | None
    drawn: tuple[str, ...]
    hideable: tuple[str, ...] = ()
    kind: Literal["protein", "molecule"] = "protein"

    def __post_init__(self) -> None:
        if len(set(self.tokens)) < len(self.tokens):
            raise ValueError(f"{self.name}: a token is there twice")
        special = [self.mask, self.pad, self.begin, self.end, self.unknown]
        for token in (*(t for t in special if t is not None), *self.drawn, *self.hideable):
            if token not in self.ids:
                raise ValueError(f"{self.name}: {token!r} is not among its tokens")

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Token -> id."""
        return {token: number for number, token in enumerate(self.tokens)}

    @property
    def mask_id(self) -> int:
        return self.ids[self.mask]

    @property
    def pad_id(self) -> int:
        return self.ids[self.pad]

    @cached_property
    def drawn_ids(self) -> tuple[int, ...]:
        return tuple(self.ids[token] for token in self.drawn)

    @cached_property
    def hideable_ids(self) -> Tensor:
        """(len(self),) bool."""
        may = torch.zeros(len(self), dtype=torch.bool)
        may[[self.ids[token] for token in self.hideable or self.drawn]] = True
        return may

    @cached_property
    def special_ids(self) -> Tensor:
        """(len(self),) bool: tokens that are no part of a text (begin, end, padding, mask)."""
        special = torch.zeros(len(self), dtype=torch.bool)
        special[[self.ids[token] for token in (self.mask, self.pad, self.begin, self.end) if token is not None]] = True
        return special

    @property
    def before(self) -> int:
        """Tokens that :meth:`encode` puts before a text."""
        return int(self.begin is not None)

    @property
    def around(self) -> int:
        """Tokens that :meth:`encode` adds to a text."""
        return self.before + int(self.end is not None)

    def token_ids(self, text: str) -> list[int]:
        """The ids of a text's own tokens.

        Raises:
            UserError: it cannot be read, or has a token that is not in the vocabulary and no token for unknown ones.
        """
        ids, unknown = self.ids, None if self.unknown is None else self.ids[self.unknown]
        found = []
        for token in self.split(text):
            number = ids.get(token, unknown)
            if number is None:
                raise UserError(f"{token!r} is not in the vocabulary {self.name}")
            found.append(number)
        return found

    def wrap(self, ids: Sequence[int]) -> Tensor:
        """Ids of a text's tokens with begin and end around them: (L,) int64."""
        begin = [] if self.begin is None else [self.ids[self.begin]]
        end = [] if self.end is None else [self.ids[self.end]]
        return torch.tensor([*begin, *ids, *end], dtype=torch.long)

    def encode(self, text: str) -> Tensor:
        """A text as ids with begin and end around it: (L,) int64; errors as :meth:`token_ids`."""
        return self.wrap(self.token_ids(text))

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """The tokens joined, without begin, end and padding."""
        left_out = {self.pad, self.begin, self.end}
        tokens = (self.tokens[int(i)] for i in ids)
        return "".join(token for token in tokens if token not in left_out)
