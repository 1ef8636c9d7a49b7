"""Which clouds a network's patches can be made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.errors import UserError
from mm3d.data.clouds import OnError, PointClouds


def usable(clouds: PointClouds, groups: int, group_size: int, on_error: OnError = "stop") -> PointClouds:
    """The clouds with enough different points for ``groups`` patches of ``group_size``: the larger of the two.

    Fewer points than a sample has are no obstacle, since points are then repeated; but the centres of patches
    have to differ, and a patch of one repeated point has no shape.

    Args:
        on_error: "stop" raises for the first cloud that is too small; "skip" leaves such clouds out and adds
            them to ``skipped``.

    Raises:
        UserError: naming the cloud; with "skip", if none is left.
    """
    needed = max(groups, group_size)
    kept, skipped = [], list(clouds.skipped)
    for index, name in enumerate(clouds.names):
        found = _different(clouds, index, needed)
        if found >= needed:
            kept.append(index)
            continue
        reason = f"{name}: {found} different points; {groups} patches of {group_size} points need {needed}"
        if on_error == "stop":
            raise UserError(reason)
        skipped.append((name, reason))
    if len(clouds) and not kept:
        raise UserError(f"none of {len(clouds)} clouds could be used; the first: {skipped[-len(clouds)][1]}")
    return clouds if len(kept) == len(clouds) else replace(clouds.subset(kept), skipped=tuple(skipped))


def _different(clouds: PointClouds, index: int, needed: int) -> int:
    """Different points of a cloud, counted no further than is needed to see that there are enough."""
    # One coordinate of the first points settles it for nearly all clouds; a memory map is hardly read.
    start = int(clouds.offsets[index])
    found = len(np.unique(clouds.points[start : min(start + 4 * needed, int(clouds.offsets[index + 1])), 0]))
    return found if found >= needed else len(np.unique(clouds.cloud(index), axis=0))
