"""Labelled sequences as what a predictor is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError
from mmbio.data.sets import LabelledSequences
from mmbio.sequences import Sequences, join
from mmbio.vocabulary import Vocabulary


class Labelled(NamedTuple):
    """Sequences and their labels: classes (B,), values or answers (B, K), or classes of residues (R,), -1 for none."""

    sequences: Sequences
    labels: Tensor


class LabelledTokens:
    """A part of labelled sequences; a :class:`~core.training.data.TrainingData`.

    Args:
        data: sequences with labels.
        part: indices of those that are used.
        vocabulary: what turns them into ids.
        longest: tokens of a sequence, begin and end not counted; of longer ones a random window is taken.
        labels: in the place of those of ``data``, standardised values say.

    Raises:
        UserError: a text that the vocabulary cannot read, naming it.
    """

    def __init__(
        self,
        data: LabelledSequences,
        part: NDArray[np.integer],
        vocabulary: Vocabulary,
        longest: int,
        labels: NDArray | tuple[NDArray[np.integer], ...] | None = None,
    ) -> None:
        self.data = data
        self.part = part
        self.vocabulary = vocabulary
        self.longest = longest
        self.labels = data.labels if labels is None else labels
        self.ids = [self._ids(int(index)) for index in part]

    def __len__(self) -> int:
        return len(self.part)

    @property
    def lengths(self) -> list[int]:
        """Tokens of every sample, which buckets sort by."""
        return [min(len(ids), self.longest) + self.vocabulary.around for ids in self.ids]

    def sample(self, index: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Ids and labels of a sequence or of a window of it; with draws from the generator alone."""
        ids, label = self.ids[index], torch.as_tensor(self.labels[self.part[index]])
        if len(ids) > self.longest:
            begin = int(torch.randint(len(ids) - self.longest + 1, (), generator=generator))
            ids = ids[begin : begin + self.longest]
            if self.data.task == "residues":
                label = label[begin : begin + self.longest]
        return self.vocabulary.wrap(ids.tolist()), label.float() if label.is_floating_point() else label

    def collate(self, samples: Sequence[tuple[Tensor, Tensor]]) -> Labelled:
        gather = torch.cat if self.data.task == "residues" else torch.stack
        return Labelled(join([ids for ids, _ in samples]), gather([label for _, label in samples]))

    def look(self, count: int) -> Sequences:
        """The first of the sequences, as one batch, cut where they are too long."""
        return join([self.vocabulary.wrap(ids[: self.longest].tolist()) for ids in self.ids[:count]])

    def _ids(self, index: int) -> NDArray[np.int16]:
        try:
            return np.asarray(self.vocabulary.token_ids(self.data.texts[index]), dtype=np.int16)
        except UserError as error:
            raise UserError(f"{self.data.name}, {self.data.called(index)}: {error}") from error
