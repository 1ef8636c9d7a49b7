"""What stands in the place of a model's features: letters, tokens, fingerprints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from mmbio.data.sets import LabelledSequences
from mmbio.readers import Reader
from mmbio.residue_features import LETTERS, letter_codes


def raw_features(data: LabelledSequences, reader: Reader) -> dict[str, NDArray]:
    """Features of sequences without a model, by name: each (N, C), float32 or (fingerprints) uint8.

    Proteins: shares of the letters; where all are of one length (variants of a protein) also a one-hot vector of the
    letters that change. Molecules: numbers of the tokens or atoms; circular fingerprints where rdkit is installed.
    """
    if data.kind == "molecule":
        name, counts = reader.counts(data.texts)
        found: dict[str, NDArray] = {name: counts}
        prints = fingerprints(data.texts)
        return found if prints is None else {**found, "ECFP4": prints}
    found = {"composition": composition(data.texts)}
    if len({len(text) for text in data.texts}) == 1:
        found["one-hot"] = one_hot(data.texts)
    return found


def composition(texts: Sequence[str]) -> NDArray[np.float32]:
    """Share of each letter of :data:`LETTERS` in every protein: (N, 25)."""
    found = np.zeros((len(texts), len(LETTERS)), np.float32)
    for row, text in zip(found, texts, strict=True):
        counts = Counter(text)
        row[:] = [counts[letter] / len(text) for letter in LETTERS]
    return found


def one_hot(texts: Sequence[str]) -> NDArray[np.float32]:
    """Proteins of one length as one-hot letters of all places, without columns that never change: (N, C)."""
    codes = np.stack([letter_codes(text) for text in texts])
    places = np.flatnonzero((codes != codes[0]).any(0))
    every = [codes[:, [place]] == np.unique(codes[:, place]) for place in places]
    return np.concatenate([*every, np.ones((len(texts), 1), bool)], 1).astype(np.float32)


def fingerprints(texts: Sequence[str]) -> NDArray[np.uint8] | None:
    """Morgan fingerprints of radius 2 in 2,048 bits: (N, 2048); None where rdkit is not installed."""
    if find_spec("rdkit") is None:
        return None
    from mmbio.molecules.fingerprints import morgan_fingerprints

    return morgan_fingerprints(texts, bits=2048, radius=2)
