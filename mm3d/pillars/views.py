"""What a model makes of masked pillars, as points in metres."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from core.masking import Mask
from mm3d.layers.pillars import Pillars


class PillarReconstruction(NamedTuple):
    """Points in metres, one tensor (N, 3) a sweep: of pillars that were shown, of hidden ones, and those predicted for them."""

    visible: list[Tensor]
    hidden: list[Tensor]
    predicted: list[Tensor]
    mask: Mask


def reconstruction(pillars: Pillars, mask: Mask, predicted: Tensor, of: Tensor) -> PillarReconstruction:
    """Predicted points beside those of the sweeps.

    Args:
        predicted: (R, 3) in metres.
        of: (R,) the hidden pillar each is predicted for, ascending.
    """
    xyz, unseen = pillars.points[:, :3], mask.hidden[pillars.pillar_of]
    sweep = pillars.indices[:, 0]
    of_point = sweep[pillars.pillar_of]
    count = pillars.batch_size
    return PillarReconstruction(
        _by_sweep(xyz[~unseen], of_point[~unseen], count),
        _by_sweep(xyz[unseen], of_point[unseen], count),
        _by_sweep(predicted, mask.select_hidden(sweep)[of], count),
        mask,
    )


def _by_sweep(points: Tensor, sweep: Tensor, count: int) -> list[Tensor]:
    return list(points.split(torch.bincount(sweep, minlength=count).tolist()))
