"""Chamfer distance between few predicted points and the points of pillars, which differ in number and are packed."""

from __future__ import annotations

import torch
from torch import Tensor


def packed_chamfer(predicted: Tensor, points: Tensor) -> Tensor:
    """Mean squared distance from predicted points to the nearest true one, and back, without padding.

    The way back is averaged over the points of a cell first, so that a cell with many points counts as any other.

    Args:
        predicted: (M, K, 3) points of M cells.
        points: (P, 4): x, y, z and the number of the cell, ascending; every cell has a point.

    Returns:
        A scalar, the sum of both ways.

    Raises:
        ValueError: a cell without a point.

    Source: Hess et al., Voxel-MAE, Section 3.3; reconstruction_head.py of the official code, chamfer_distance_loss.
    """
    cell = points[:, 3].long()
    counts = torch.bincount(cell, minlength=len(predicted))
    if len(counts) != len(predicted) or not bool((counts > 0).all()):
        raise ValueError(f"points of {int((counts > 0).sum())} cells for predictions of {len(predicted)}")
    distances = (predicted.index_select(0, cell) - points[:, None, :3]).square().sum(2)  # (P, K)
    back = predicted.new_zeros(len(predicted)).index_add(0, cell, distances.amin(1)) / counts
    there = torch.segment_reduce(distances, "min", lengths=counts, axis=0)  # (M, K)
    return there.mean() + back.mean()
