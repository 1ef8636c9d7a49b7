"""Masks with several re-masked views, and another graph for the teacher."""

from __future__ import annotations

import torch
from torch import Tensor

from core.masking import count_hidden
from core.random import Randomness
from mmgraph.masks import NodeMask, batch_generator, move


class RemaskedNodes(NodeMask):
    """Hidden nodes, and everything else that is drawn for a step of GraphMAE2.

    Args:
        nodes: the hidden nodes, with the edges that the student's encoder sees.
        teacher_kept: (E,) bool, the edges that the teacher sees; None for all.
        remasked: (K, T) bool, the nodes whose embeddings each view of the decoder loses; None where it loses those
            of the hidden nodes.
    """

    def __init__(self, nodes: NodeMask, teacher_kept: Tensor | None = None, remasked: Tensor | None = None) -> None:
        super().__init__(nodes.hidden, nodes._offsets, nodes.token, nodes.noise, nodes.noise_source, nodes.kept)
        self.teacher_kept = teacher_kept
        self.remasked = remasked

    def to(self, device: torch.device | str) -> RemaskedNodes:
        return RemaskedNodes(super().to(device), move(self.teacher_kept, device), move(self.remasked, device))


def remask_nodes(nodes: int, ratio: float, views: int, randomness: Randomness = None) -> Tensor:
    """Uniformly chosen nodes, equally many in every view and independent of the hidden ones: (K, T) bool on the CPU.

    Args:
        nodes: T, of the whole batch.
        ratio: share of the nodes in each view, rounded down.
        views: K.
        randomness: one CPU generator, one a graph (the first is used), or None.

    Raises:
        ValueError: a ratio outside [0, 1).

    Source: Hou et al., "GraphMAE2", Section 3.2 (multi-view random re-mask); ``random_remask`` of its official code.
    """
    source = batch_generator(randomness)
    chosen = torch.stack([torch.randperm(nodes, generator=source) for _ in range(views)])
    return torch.zeros(views, nodes, dtype=torch.bool).scatter_(1, chosen[:, : count_hidden(nodes, ratio)], True)
