"""Labelled sequences as what a predictor is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError
from core.random import generator
from mmbio.data.sets import LabelledSequences
from mmbio.data.tokens import Augment
from mmbio.readers import Reader


class Labelled(NamedTuple):
    """Texts as a model takes them and their labels: classes (B,), values or answers (B, K), or classes of residues (R,), -1
    for none."""

    sequences: Any
    labels: Tensor


class LabelledTexts:
    """A part of labelled sequences; a :class:`~core.training.data.TrainingData`.

    Args:
        data: sequences with labels.
        part: indices of those that are used.
        reader: of the model that reads them.
        longest: units (tokens, begin and end not counted) of a sample; of longer ones a random window is taken. What the
            reader never cuts stays whole.
        labels: in the place of those of ``data``, standardised values say.
        augment: ``(text, generator) -> text`` that says the same otherwise (SMILES), for samples of training; None for
            nothing. Not where residues have labels.

    Raises:
        UserError: a text that the reader cannot read, or that cannot be said otherwise, naming it.
    """

    def __init__(
        self,
        data: LabelledSequences,
        part: NDArray[np.integer],
        reader: Reader,
        longest: int,
        labels: NDArray | tuple[NDArray[np.integer], ...] | None = None,
        augment: Augment | None = None,
    ) -> None:
        self.data = data
        self.part = part
        self.reader = reader
        self.longest = reader.trained_length(longest)
        self.labels = data.labels if labels is None else labels
        self.augment = augment
        self.items = [self._read(int(index)) for index in part]
        if augment is not None:  # what cannot be respelled is said before a training begins
            for number in range(len(self.items)):
                self._respelled(number, generator(0, number, "respelled"))

    def __len__(self) -> int:
        return len(self.part)

    @property
    def lengths(self) -> list[int]:
        """Units of every sample, which buckets sort by."""
        found = [self.reader.length(item) for item in self.items]
        return found if self.longest is None else [min(length, self.longest) for length in found]

    def sample(self, index: int, generator: torch.Generator) -> tuple[Any, Tensor]:
        """A sequence or a window of it, and its labels; with draws from the generator alone."""
        item = self.items[index] if self.augment is None else self._respelled(index, generator)
        label = torch.as_tensor(self.labels[self.part[index]])
        length = self.reader.length(item)
        if self.longest is not None and length > self.longest:
            begin = int(torch.randint(length - self.longest + 1, (), generator=generator))
            item = self.reader.window(item, begin, begin + self.longest)
            if self.data.task == "residues":
                label = label[begin : begin + self.longest]
        return item, label.float() if label.is_floating_point() else label

    def collate(self, samples: Sequence[tuple[Any, Tensor]]) -> Labelled:
        gather = torch.cat if self.data.task == "residues" else torch.stack
        return Labelled(self.reader.join([item for item, _ in samples]), gather([label for _, label in samples]))

    def look(self, count: int) -> Any:
        """The first of the sequences, as one batch, cut where they are too long."""
        some = self.items[:count]
        if self.longest is not None:
            some = [self.reader.window(item, 0, self.longest) for item in some]
        return self.reader.join(some)

    def _respelled(self, index: int, draws: torch.Generator) -> Any:
        return self._read(int(self.part[index]), draws)

    def _read(self, index: int, draws: torch.Generator | None = None) -> Any:
        """A text, said otherwise where there is a generator."""
        try:
            text = self.data.texts[index]
            return self.reader.read(text if draws is None or self.augment is None else self.augment(text, draws))
        except UserError as error:
            raise UserError(f"{self.data.name}, {self.data.called(index)}: {error}") from error
