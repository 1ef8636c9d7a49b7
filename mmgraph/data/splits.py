"""Splits of labelled nodes and graphs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.random import generator


def split_nodes(labels: Tensor, seed: int, train: float = 0.1, val: float = 0.1) -> tuple[Tensor, Tensor, Tensor]:
    """Labelled nodes in random parts: indices (train, val, test), each ascending."""
    labelled = (labels >= 0).nonzero().squeeze(1)
    order = labelled[torch.randperm(len(labelled), generator=generator(seed, "split"))]
    first, second = round(train * len(order)), round((train + val) * len(order))
    return order[:first].sort().values, order[first:second].sort().values, order[second:].sort().values


def split_graphs(
    labels: NDArray[np.integer], seed: int, val: float = 0.1, test: float = 0.1
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Graphs in random parts with the same share of every class: indices (train, val, test), each ascending.

    Of a class with n >= 3 members at least one is in each part; the members of a smaller one train. Graphs labelled -1 are
    left out.
    """
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for label in np.unique(labels[labels >= 0]):
        members = torch.from_numpy(np.flatnonzero(labels == label))
        order = members[torch.randperm(len(members), generator=generator(seed, int(label), "split"))]
        held = [max(1, round(share * len(order))) if len(order) >= 3 else 0 for share in (val, test)]
        sizes = (len(order) - sum(held), *held)
        for part, some in zip(parts, order.split(sizes), strict=True):
            part.append(some)
    train, first, second = (torch.cat(part).sort().values.numpy() if part else np.empty(0, np.int64) for part in parts)
    return train, first, second
