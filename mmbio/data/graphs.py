"""Molecules as what a model of graphs is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import UserError
from mmbio.data.sets import SequenceSet
from mmbio.molecules.graphs import PackedGraph, join_graphs, read_graph
from mmgraph.graph import Graphs


class GraphData:
    """Molecules of a set as graphs; a :class:`~core.training.data.TrainingData`.

    A molecule is read when it is asked for the first time and kept in few bytes, so that a training on millions begins at
    once and reads each once (in every process that loads data).

    Args:
        data: molecules as SMILES.
        chosen: indices of those that are used.
    """

    def __init__(self, data: SequenceSet, chosen: Sequence[int]) -> None:
        self.data = data
        self.chosen = list(chosen)
        self.kept: dict[int, PackedGraph] = {}

    def __len__(self) -> int:
        return len(self.chosen)

    def sample(self, index: int, generator: torch.Generator) -> PackedGraph:
        """A molecule; nothing is drawn.

        Raises:
            UserError: it is none, naming the data and the molecule.
        """
        number = self.chosen[index]
        if number not in self.kept:
            try:
                self.kept[number] = read_graph(self.data.texts[number])
            except UserError as error:
                raise UserError(f"{self.data.name}, {self.data.called(number)}: {error}") from error
        return self.kept[number]

    def collate(self, samples: Sequence[PackedGraph]) -> Graphs:
        return join_graphs(samples)

    def learned_from(self, model: Any) -> NDArray[np.bool_]:
        """All: a molecule has an atom, which can be hidden. So none is read here."""
        return np.ones(len(self), bool)

    def only(self, keep: NDArray[np.bool_]) -> GraphData:
        """Some of the samples, (N,) bool."""
        return GraphData(self.data, [i for i, kept in zip(self.chosen, keep, strict=True) if kept])
