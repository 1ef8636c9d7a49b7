"""Train, validation and test part: as the data names them, and drawn where it does not."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError

SHARE = 0.1
"""Of the training part for each part that the data does not name."""

WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""How parts are written, in lower case."""


class Parts(NamedTuple):
    """Indices of the sequences of each part."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def part_named(word: str, where: str) -> str:
    """``train``, ``validation`` or ``test`` for a word of a file.

    Raises:
        UserError: another word, naming ``where``.
    """
    if word.lower() not in WORDS:
        raise UserError(f"{where}: part {word!r}; expected train, validation (valid, val, dev) or test")
    return WORDS[word.lower()]


def complete(named: Sequence[str], alike: Sequence[Hashable]) -> Parts:
    """Indices of the parts; validation and test, where no sequence is in them, are drawn from the training part.

    Args:
        named: part of every sequence.
        alike: of every sequence something that is equal for those that must not be parted (its text, or its cluster).
    """
    labels = np.array(named, dtype="<U10")
    for part, seed in (("test", 1), ("validation", 2)):
        if not (labels == part).any():
            train = np.flatnonzero(labels == "train")
            labels[train[drawn([alike[i] for i in train.tolist()], SHARE, seed)]] = part
    return Parts(*(np.flatnonzero(labels == part) for part in ("train", "validation", "test")))


def drawn(alike: Sequence[Hashable], share: float, seed: int) -> NDArray[np.int64]:
    """About a share of the indices, at least one where there are some, the same for every run.

    Groups of what is alike are drawn as a whole. A group that would make the part larger than one and a half times its share
    is left where it is.
    """
    numbers: dict[Hashable, int] = {}
    group = np.array([numbers.setdefault(key, len(numbers)) for key in alike], dtype=np.int64)
    members = np.bincount(group)
    wanted, taken, count = max(1, round(share * len(alike))), [], 0
    for number in np.random.default_rng(seed).permutation(len(members)):
        if count < wanted and count + members[number] <= 1.5 * wanted:
            taken.append(number)
            count += members[number]
    return np.flatnonzero(np.isin(group, taken))
