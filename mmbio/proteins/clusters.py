"""Groups of similar proteins, which must not be parted between training and test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
WORD = 5
SHARED = 0.1
FEWEST = 3


def cluster(texts: Sequence[str], links: Sequence[tuple[int, int]] = ()) -> NDArray[np.int64]:
    """Number of the cluster of every protein: single linkage over shared words of five residues.

    Two proteins are linked where at least a tenth of the different words of the one that has fewer, and at least three,
    are in the other too. Changes spread evenly break that link below about 63 % identity (0.63 ** 5 = 0.1); a conserved
    stretch keeps it well below. Words with other letters than the twenty are not counted.

    Args:
        texts: proteins in capitals.
        links: further pairs that belong together.

    Returns:
        (N,) int64 from 0.
    """
    from scipy.sparse import coo_matrix, csr_matrix
    from scipy.sparse.csgraph import connected_components

    words = [_words(text) for text in texts]
    counts = np.array([len(some) for some in words])
    starts = np.concatenate([[0], counts.cumsum()])
    every = np.concatenate([*words, np.zeros(0, np.int64)])
    has = csr_matrix((np.ones(len(every), np.int32), every, starts), shape=(len(texts), len(LETTERS) ** WORD))
    common = (has @ has.T).tocoo()
    fewer = np.minimum(counts[common.row], counts[common.col])
    linked = (common.row < common.col) & (common.data >= np.maximum(SHARED * fewer, FEWEST))
    pairs = np.array(links, dtype=np.int64).reshape(-1, 2)
    rows, columns = np.concatenate([common.row[linked], pairs[:, 0]]), np.concatenate([common.col[linked], pairs[:, 1]])
    graph = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(len(texts), len(texts)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _words(text: str) -> NDArray[np.int64]:
    """The different words of a protein as sorted numbers."""
    codes = _CODES[np.frombuffer(text.encode("ascii"), np.uint8)]
    if len(codes) < WORD:
        return np.zeros(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(codes, WORD)
    known = windows[(windows >= 0).all(1)]
    return np.unique(known @ len(LETTERS) ** np.arange(WORD, dtype=np.int64))


_CODES = np.full(128, -1, dtype=np.int64)
_CODES[np.frombuffer(LETTERS.encode(), np.uint8)] = np.arange(len(LETTERS))
