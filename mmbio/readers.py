"""How a model reads texts: what a text becomes, how long it is, and how several become a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmbio.data.graphs import GraphData
from mmbio.data.sets import Kind, SequenceSet
from mmbio.data.tokens import Augment, TokenData
from mmbio.molecules.graphs import ATOM_SIZES, PackedGraph, join_graphs, read_graph
from mmbio.sequences import Sequences, join, tagged
from mmbio.vocabulary import Vocabulary
from mmgraph.graph import Graphs

KEPT = 2**17
"""Molecules whose graphs are kept, some 300 bytes each; the largest set of MoleculeNet has 93,000."""


class Samples(Protocol):
    """Sequences as what a masked model is trained on: a :class:`~core.training.data.TrainingData` of some of a set."""

    data: SequenceSet
    chosen: list[int]

    def __len__(self) -> int: ...

    def sample(self, index: int, generator: torch.Generator) -> Any: ...

    def collate(self, samples: Sequence[Any]) -> Any: ...

    def learned_from(self, model: Any) -> NDArray[np.bool_]:
        """(N,) bool: samples that a model learns something from."""
        ...

    def only(self, keep: NDArray[np.bool_]) -> Samples:
        """Some of the samples, (N,) bool."""
        ...


class Reader(Protocol):
    """What every model of texts has as ``reader``; fine-tuning, probes and embedding ask nothing else of how it reads.

    ``kind`` is of the texts, ``unit`` what a text is made of for messages and reports, ``spellings`` whether two spellings of
    the same thing are read differently, ``longest`` how many units fit into the model (None for any number).
    """

    kind: Kind
    unit: str
    spellings: bool

    @property
    def longest(self) -> int | None: ...

    def read(self, text: str) -> Any:
        """A text as the model takes it, in little memory.

        Raises:
            UserError: it cannot be read.
        """
        ...

    def length(self, item: Any) -> int:
        """Units of a text that was read."""
        ...

    def window(self, item: Any, begin: int, end: int) -> Any:
        """A part of it; asked only of what is longer than something is allowed to be."""
        ...

    def trained_length(self, longest: int) -> int | None:
        """Units of a training sample where a recipe says ``longest``; None where texts are never cut."""
        ...

    def join(self, items: Sequence[Any], regions: Sequence[str] = ()) -> Any:
        """Texts that were read as one batch, with a digit of regions a unit where there are some."""
        ...

    def samples(
        self, data: SequenceSet, chosen: Sequence[int], longest: int, augment: Augment | None = None
    ) -> Samples:
        """Some sequences of a set to train a masked model on."""
        ...

    def size(self, batch: Any) -> int:
        """Units of a batch."""
        ...

    def counts(self, texts: Sequence[str]) -> tuple[str, NDArray[np.float32]]:
        """Numbers of the kinds of units in every text, (N, K), and what to call them: features without a model."""
        ...


class TokenReader:
    """Texts as ids of a vocabulary, with begin and end around them: batches of :class:`~mmbio.sequences.Sequences`.

    Args:
        vocabulary: of the model.
        positions: tokens that fit, begin and end counted; None for any number.
    """

    def __init__(self, vocabulary: Vocabulary, positions: int | None) -> None:
        self.vocabulary = vocabulary
        self.kind = vocabulary.kind
        self.unit = "residues" if vocabulary.kind == "protein" else "tokens"
        self.spellings = vocabulary.kind == "molecule"
        self.longest = None if positions is None else positions - vocabulary.around

    def read(self, text: str) -> NDArray[np.int16]:
        return np.asarray(self.vocabulary.token_ids(text), dtype=np.int16)

    def length(self, item: NDArray[np.int16]) -> int:
        return len(item)

    def window(self, item: NDArray[np.int16], begin: int, end: int) -> NDArray[np.int16]:
        return item[begin:end]

    def trained_length(self, longest: int) -> int | None:
        return longest if self.longest is None else min(longest, self.longest)

    def join(self, items: Sequence[NDArray[np.int16]], regions: Sequence[str] = ()) -> Sequences:
        ids = [self.wrap(item) for item in items]
        return join(ids, [self.tagged(digits) for digits in regions] or None)

    def samples(
        self, data: SequenceSet, chosen: Sequence[int], longest: int, augment: Augment | None = None
    ) -> TokenData:
        return TokenData(data, chosen, self.vocabulary, longest, augment)

    def size(self, batch: Sequences) -> int:
        return len(batch.ids) - self.vocabulary.around * len(batch)

    def wrap(self, item: NDArray[np.int16]) -> Tensor:
        """Ids of a text with begin and end around them: (L,) int64."""
        return self.vocabulary.wrap(item.tolist())

    def tagged(self, digits: str) -> Tensor:
        """Regions of a text with those of begin and end: (L,) int8."""
        return tagged(digits, self.vocabulary.before, self.vocabulary.around)

    def counts(self, texts: Sequence[str]) -> tuple[str, NDArray[np.float32]]:
        rows = [np.bincount(self.vocabulary.token_ids(text), minlength=len(self.vocabulary)) for text in texts]
        return "token counts", np.stack(rows).astype(np.float32)


_read = lru_cache(KEPT)(read_graph)  # probes and further seeds of a fine-tuning ask for the same molecules


class GraphReader:
    """Molecules as graphs of atoms and bonds, never cut: batches of :class:`~mmgraph.graph.Graphs`."""

    kind: Kind = "molecule"
    unit = "atoms"
    spellings = False
    longest: int | None = None

    def read(self, text: str) -> PackedGraph:
        return _read(text)

    def length(self, item: PackedGraph) -> int:
        return item.size

    def window(self, item: PackedGraph, begin: int, end: int) -> PackedGraph:
        if (begin, end) != (0, item.size):
            raise ValueError("a molecule's graph is not cut")
        return item

    def trained_length(self, longest: int) -> int | None:
        return None

    def join(self, items: Sequence[PackedGraph], regions: Sequence[str] = ()) -> Graphs:
        return join_graphs(items)

    def samples(
        self, data: SequenceSet, chosen: Sequence[int], longest: int, augment: Augment | None = None
    ) -> GraphData:
        return GraphData(data, chosen)

    def size(self, batch: Graphs) -> int:
        return len(batch.x)

    def counts(self, texts: Sequence[str]) -> tuple[str, NDArray[np.float32]]:
        atoms = [np.frombuffer(_read(text).atoms, np.uint8)[::2] for text in texts]
        return "atom counts", np.stack([np.bincount(row, minlength=ATOM_SIZES[0]) for row in atoms]).astype(np.float32)
