"""Loops of antibodies: where they are, and which are alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

ALIKE = 0.2
"""Loops are alike where their edit distance is at most this share of the longer one, rounded down."""

# The tryptophan at place 41 of IMGT's numbering, in front of the second stretch of framework.
TRYPTOPHAN = re.compile(r"W[VILYFAM][RKQH]")


class Loops(NamedTuple):
    """Begin and end of CDR-H1 and CDR-H2 in a sequence."""

    first: tuple[int, int]
    second: tuple[int, int]


def heavy_loops(text: str, third: int) -> Loops | None:
    """CDR-H1 and CDR-H2 of a heavy chain by IMGT's definition, found from conserved residues; None where those are not there.

    From cysteine 23 to the loop it is three residues, from the loop to tryptophan 41 two; CDR-H2 is the stretch from 15
    behind the tryptophan to 38 before CDR-H3, which cysteine 104 goes before. Insertions in the framework, which are rare,
    move an end by a residue.

    Args:
        text: residues of the chain.
        third: where CDR-H3 begins.

    Source: Lefranc et al., "IMGT unique numbering for immunoglobulin and T cell receptor variable domains", 2003.
    """
    if text[third - 1 : third] != "C":
        return None
    for cysteine in range(15, 27):
        if text[cysteine : cysteine + 1] == "C":
            found = [m.start() for m in TRYPTOPHAN.finditer(text, cysteine + 10, cysteine + 22)]
            if found:
                begin, end = found[-1] + 15, third - 38
                if 5 <= end - begin <= 12:
                    return Loops((cysteine + 4, found[-1] - 2), (begin, end))
    return None


def edit_distance(a: str, b: str) -> int:
    """Fewest insertions, deletions and substitutions that make one of the other (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def alike(a: str, b: str) -> bool:
    """Whether two loops are alike by :data:`ALIKE`."""
    return edit_distance(a, b) <= int(ALIKE * max(len(a), len(b)))


def like_any(loops: Sequence[str], others: Sequence[str]) -> list[bool]:
    """For every loop whether one of the others is like it; an empty loop is like none."""
    known = sorted(set(others) - {""})
    given = sorted(set(loops) - {""})
    found = {given[i] for i, _ in _pairs(given, known)}
    return [loop in found for loop in loops]


def shown_in(texts: Sequence[str], loops: Sequence[str], shortest: int) -> list[bool]:
    """For every protein whether one of the loops that have so many residues at least stands in it, letter by letter."""
    by_begin: dict[str, list[str]] = {}
    for loop in loops:
        if len(loop) >= shortest:
            by_begin.setdefault(loop[:shortest], []).append(loop)

    def shows(text: str) -> bool:
        begins = by_begin.keys() & {text[i : i + shortest] for i in range(len(text) - shortest + 1)}
        return any(loop in text for begin in begins for loop in by_begin[begin])

    return [bool(by_begin) and shows(text) for text in texts]


def clusters(loops: Sequence[str]) -> NDArray[np.integer]:
    """A number of a cluster for every loop: those that are alike, and those that are alike to these, have the same.

    An empty loop is a cluster of its own.
    """
    given = sorted(set(loops) - {""})
    pairs = np.array(_pairs(given, given, above=True), dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(given), len(given)))
    count, found = connected_components(graph, directed=False)
    number = dict(zip(given, found.tolist(), strict=True))
    return np.array([number.get(loop, count + i) for i, loop in enumerate(loops)], dtype=np.int64)


def _pairs(a: Sequence[str], b: Sequence[str], above: bool = False) -> list[tuple[int, int]]:
    """Indices of loops that are alike; with ``above`` only those whose first is the lower.

    An edit changes the counts of letters by at most two in all, which rules most pairs out before edits are counted.
    """
    if not a or not b:
        return []
    longer = np.maximum.outer([len(x) for x in a], [len(x) for x in b])
    near = cdist(_counts(a), _counts(b), "cityblock") <= 2 * np.floor(ALIKE * longer)
    near = np.triu(near, 1) if above else near
    return [(i, j) for i, j in np.argwhere(near).tolist() if alike(a[i], b[j])]


def _counts(loops: Sequence[str]) -> NDArray[np.floating]:
    """How often each letter is in every loop: (loops, 26)."""
    letters = np.zeros((len(loops), 26))
    for row, loop in enumerate(loops):
        for letter in loop:
            letters[row, (ord(letter) - ord("A")) % 26] += 1
    return letters
