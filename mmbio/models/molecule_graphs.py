"""What models of molecular graphs share: how they read molecules, and what a molecule's features are."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from core.errors import UserError
from mmbio.readers import GraphReader
from mmgraph.graph import Graphs
from mmgraph.layers.pool import pool_nodes


class ReadsMolecules:
    """Mixed into a model whose ``encode`` gives features of atoms."""

    reader: ClassVar[GraphReader] = GraphReader()
    shortest = 1
    """Atoms of the smallest molecule that something is learned from."""
    fewest = 1
    """Molecules of the smallest batch."""

    def encode(self, batch: Graphs) -> Tensor:
        raise NotImplementedError

    def embed(self, batch: Graphs) -> Tensor:
        """Features of molecules, the mean over their atoms: (B, C) float32."""
        return pool_nodes(self.encode(batch).float(), batch, "mean")

    def own_tokens(self, batch: Graphs) -> Tensor:
        """(T,) bool: all atoms are of the molecule itself."""
        return torch.ones(len(batch.x), dtype=torch.bool, device=batch.x.device)

    def learns_from(self, batch: Graphs) -> Tensor:
        """(B,) bool on the CPU: all molecules."""
        return torch.ones(len(batch), dtype=torch.bool)


def check_atoms(batch: Graphs, training: bool) -> None:
    """See that batch norms have something to normalise by.

    Raises:
        UserError: a training batch of a single atom.
    """
    if training and len(batch.x) < 2:
        raise UserError(
            "a training batch of one molecule that is a single atom, which batch norms cannot take; expected another "
            "train.batch_size, or train.last_batch drop"
        )
