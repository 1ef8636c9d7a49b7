"""Sequences as what a language model is trained on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError
from core.random import generator
from mmbio.config.data import HeldOutConfig
from mmbio.data.sets import SequenceSet
from mmbio.sequences import Sequences, join, tagged
from mmbio.vocabulary import Vocabulary

TOGETHER = 10_000  # sequences that are looked at at a time

Augment = Callable[[str, torch.Generator], str]


class Sample(NamedTuple):
    """Token ids of a sequence, and the region of every token where there are regions."""

    ids: Tensor
    regions: Tensor | None

    @property
    def size(self) -> int:
        """Tokens, begin and end among them."""
        return len(self.ids)


class TokenData:
    """Sequences as token ids, windows of those that are too long; a :class:`~core.training.data.TrainingData`.

    Args:
        data: sequences.
        chosen: indices of those that are used.
        vocabulary: what turns them into ids.
        longest: tokens of a sequence, begin and end not counted; longer ones are cut at a random place.
        augment: ``(text, generator) -> text`` that says the same otherwise (SMILES), None for nothing.

    Raises:
        UserError: a text that the vocabulary cannot read, naming it.
    """

    def __init__(
        self,
        data: SequenceSet,
        chosen: Sequence[int],
        vocabulary: Vocabulary,
        longest: int,
        augment: Augment | None = None,
    ) -> None:
        self.data = data
        self.chosen = list(chosen)
        self.vocabulary = vocabulary
        self.longest = longest
        self.augment = augment
        pieces = [np.asarray(self._ids(i), dtype=np.int16) for i in self.chosen]
        self.sizes = np.array([len(piece) for piece in pieces], dtype=np.int64)
        self.ids = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
        self.starts = starts_of(self.sizes)

    def learned_from(self, model: Any) -> NDArray[np.bool_]:
        """(N,) bool: samples that a model learns something from."""
        found = [np.ones(0, bool)]
        for begin in range(0, len(self), TOGETHER):
            end = min(begin + TOGETHER, len(self))
            starts = self.starts[begin : end + 1]
            ids = torch.from_numpy(self.ids[starts[0] : starts[-1]].astype(np.int64))
            regions = None
            if self.data.regions:
                digits = "".join(self.data.regions[i] for i in self.chosen[begin:end])
                regions = torch.from_numpy(np.frombuffer(digits.encode(), np.uint8).astype(np.int64) - ord("0"))
            batch = Sequences(ids, torch.from_numpy(starts - starts[0]), regions)
            found.append(model.learns_from(batch).numpy())
        return np.concatenate(found)

    def only(self, keep: NDArray[np.bool_]) -> TokenData:
        """Some of the samples, (N,) bool, whose texts are not read again."""
        some = copy.copy(self)
        some.chosen = [i for i, kept in zip(self.chosen, keep, strict=True) if kept]
        some.ids, some.sizes = self.ids[np.repeat(keep, self.sizes)], self.sizes[keep]
        some.starts = starts_of(some.sizes)
        return some

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of every sample, which buckets sort by."""
        return np.minimum(self.sizes, self.longest) + self.vocabulary.around

    def sample(self, index: int, generator: torch.Generator) -> Sample:
        """A sequence, or a window of it; with draws from the generator alone."""
        if self.augment is None:
            ids = self.ids[self.starts[index] : self.starts[index + 1]]
        else:
            number = self.chosen[index]
            try:
                text = self.augment(self.data.texts[number], generator)
                ids = np.asarray(self.vocabulary.token_ids(text), dtype=np.int16)
            except UserError as error:
                raise UserError(f"{self.data.name}, {self.data.called(number)}: {error}") from error
        begin = 0
        if len(ids) > self.longest:
            begin = int(torch.randint(len(ids) - self.longest + 1, (), generator=generator))
            ids = ids[begin : begin + self.longest]
        regions = None
        if self.data.regions:
            digits = self.data.regions[self.chosen[index]][begin : begin + len(ids)]
            regions = tagged(digits, self.vocabulary.before, self.vocabulary.around)
        return Sample(self.vocabulary.wrap(ids.tolist()), regions)

    def collate(self, samples: Sequence[Sample]) -> Sequences:
        regions = [s.regions for s in samples if s.regions is not None]
        return join([s.ids for s in samples], regions or None)

    def _ids(self, index: int) -> list[int]:
        try:
            return self.vocabulary.token_ids(self.data.texts[index])
        except UserError as error:
            raise UserError(f"{self.data.name}, {self.data.called(index)}: {error}") from error


def starts_of(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where samples of these sizes begin one after the other, and where the last ends: (N + 1,)."""
    return np.concatenate([[0], sizes.cumsum()])


def split_held_out(data: SequenceSet, config: HeldOutConfig) -> tuple[list[int], list[int]]:
    """Indices to train on and those held out: as the data says, or drawn, the same for every seed.

    Texts are drawn, not sequences: what is equal to a held-out one is not trained on, and of equal ones the first is looked at.
    Of what the data holds out all is left out of training, and at most ``held_out_most`` is looked at. Of the rest at most
    ``most`` are trained on where that is not 0.
    """
    first: dict[str, int] = {}
    for number, text in enumerate(data.texts):
        first.setdefault(text, number)
    drawn = torch.randperm(len(data), generator=generator(0, "held out")).tolist()
    order = list(dict.fromkeys(first[data.texts[i]] for i in drawn))
    if data.held_out:
        apart = {first[data.texts[i]] for i in data.held_out}
        held = [i for i in order if i in apart]
    else:
        held = order[: min(int(len(order) * config.held_out), config.held_out_most)]
        apart = set(held)
    looked_at = sorted(held[: config.held_out_most])
    if config.most:
        return sorted([i for i in order if i not in apart][: config.most]), looked_at
    return [i for i, text in enumerate(data.texts) if first[text] not in apart], looked_at
