"""Features of residues that a probe reads: those of a model, letters, and windows of either."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mmbio.proteins.alphabet import RESIDUES

LETTERS = "".join(sorted(RESIDUES))
WINDOW = 17
"""Residues that a window shows, half of them before and behind; as the bar for secondary structure has it."""
IN_MEMORY = 2**31
"""Bytes of stored features that are kept in memory; more go to a temporary file."""


class Features(Protocol):
    """Features of residues: their width C, how many residues sequences have, and those of some sequences, (R, C) float32."""

    width: int

    def length(self, sequence: int) -> int: ...

    def rows(self, sequences: Sequence[int]) -> Tensor: ...


class ResidueFeatures:
    """Features of all residues of sequences, in half precision, in memory or in a temporary file that goes with it.

    Args:
        lengths: residues of every sequence.
        width: C.
    """

    def __init__(self, lengths: Sequence[int], width: int) -> None:
        self.offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.width = width
        shape = (int(self.offsets[-1]), width)
        if shape[0] * width * 2 <= IN_MEMORY:
            self.x: NDArray[np.float16] = np.zeros(shape, np.float16)
        else:
            self._file = tempfile.NamedTemporaryFile(prefix="mmbio-features-")  # noqa: SIM115 - it lives as long as this
            self.x = np.memmap(self._file.name, np.float16, "w+", shape=shape)
        self.mean, self.deviation = np.zeros(width, np.float32), np.ones(width, np.float32)

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.offsets) - 1

    def length(self, sequence: int) -> int:
        """Residues of a sequence."""
        return int(self.offsets[sequence + 1] - self.offsets[sequence])

    def of(self, sequence: int) -> NDArray[np.float16]:
        """(L, C) of one sequence, as they are stored."""
        return self.x[self.offsets[sequence] : self.offsets[sequence + 1]]

    def rows(self, sequences: Sequence[int]) -> Tensor:
        """(R, C) float32 of some sequences, standardised."""
        found = np.concatenate([self.of(i) for i in sequences]).astype(np.float32)
        return torch.from_numpy((found - self.mean) / self.deviation)

    def standardise(self, sequences: Sequence[int], most: int = 200_000) -> None:
        """Take mean and deviation from the first residues of some sequences, at most about ``most``; constants stay finite."""
        some: list[NDArray[np.float16]] = []
        for sequence in sequences:
            some.append(self.of(sequence))
            if sum(map(len, some)) >= most:
                break
        known = np.concatenate(some).astype(np.float32)
        self.mean, self.deviation = known.mean(0), known.std(0)
        self.deviation[self.deviation < 1e-6] = 1.0


class Letters:
    """The letters of proteins as one-hot vectors, made when they are asked for: C is the number of :data:`LETTERS`."""

    width = len(LETTERS)

    def __init__(self, texts: Sequence[str]) -> None:
        self.codes = [letter_codes(text) for text in texts]

    def length(self, sequence: int) -> int:
        """Residues of a sequence."""
        return len(self.codes[sequence])

    def rows(self, sequences: Sequence[int]) -> Tensor:
        """(R, C) float32 of all residues of some sequences."""
        return F.one_hot(torch.from_numpy(np.concatenate([self.codes[i] for i in sequences])), self.width).float()


class Around:
    """Features of the residues around every residue, itself among them, one place behind the other.

    Args:
        features: of single residues.
        window: places, an odd number; 1 for the residue alone.

    Shapes: ``rows(sequences)`` gives (R, window * (C + 1)); the last number of a place is 1, and all others 0, where it lies
    outside of the protein.
    """

    def __init__(self, features: Features, window: int = WINDOW) -> None:
        if window < 1 or window % 2 == 0:
            raise ValueError(f"a window of {window} places; expected an odd number")
        self.features = features
        self.window = window
        self.width = window * (features.width + 1)

    def length(self, sequence: int) -> int:
        """Residues of a sequence."""
        return self.features.length(sequence)

    def rows(self, sequences: Sequence[int]) -> Tensor:
        """(R, window * (C + 1)) float32 of all residues of some sequences."""
        half, lengths = self.window // 2, [self.length(i) for i in sequences]
        places = sum(lengths) + half * (len(lengths) + 1)  # half a window of nothing before, between and behind
        spaced = torch.zeros(places, self.features.width + 1)
        inside = torch.zeros(places, dtype=torch.bool)
        begin = half
        for length in lengths:
            inside[begin : begin + length] = True
            begin += length + half
        spaced[inside, :-1] = self.features.rows(sequences)
        spaced[~inside, -1] = 1.0
        windows = spaced.unfold(0, self.window, 1).transpose(1, 2)  # a view, (places - window + 1, window, C + 1)
        return windows[inside[half : places - half]].flatten(1)


_CODES = np.full(128, LETTERS.index("X"), dtype=np.int64)
_CODES[np.frombuffer(LETTERS.encode(), np.uint8)] = np.arange(len(LETTERS))


def letter_codes(text: str) -> NDArray[np.int64]:
    """Numbers of a protein's letters in :data:`LETTERS`, gaps as X: (L,)."""
    return _CODES[np.frombuffer(text.encode("ascii"), np.uint8)]
