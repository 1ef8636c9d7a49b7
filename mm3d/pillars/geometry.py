"""What GeoMAE predicts of pillars: centroids of their parts, which parts hold points, and the surface through them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mm3d.layers.pillars import Pillars

Divisions = tuple[int, int, int]
SHARE, SPREAD = 1e-6, 1e-8
"""A neighbourhood has a normal where its two lesser variances differ by more than this share of the greatest, and by more than
so many square metres, which is rounding."""
EPSILON = 1e-9


class Surface(NamedTuple):
    """Surfaces through neighbourhoods: unit ``normal`` (T, 3); ``curvature`` (T, 3), shares of the three variances,
    descending; ``known`` (T,) bool, where the normal is determined: points along a line, or a single one, have none.
    """

    normal: Tensor
    curvature: Tensor
    known: Tensor


def part_centroids(pillars: Pillars, divisions: Divisions) -> Tensor:
    """Centroids of the sub-voxels of pillars, from 0 to 1 in their sub-voxel, and 1 where there are points: (T, S, 4).

    The S = x * y * z sub-voxels stand in the order (z, y, x); where one holds no point all four are 0.

    Args:
        divisions: sub-voxels (x, y, z) of a pillar; (1, 1, 1) is the pillar itself.

    Source: Tian et al., "GeoMAE", Section 3.2 (pyramid centroids, occupancy).
    """
    parts, inside = _parts(pillars, divisions)
    size = divisions[0] * divisions[1] * divisions[2]
    place = pillars.pillar_of * size + parts
    rows = torch.cat([inside, torch.ones_like(inside[:, :1])], dim=1)
    sums = rows.new_zeros(len(pillars) * size, 4).index_add_(0, place, rows)
    counts = sums[:, 3:]
    return torch.cat([sums[:, :3] / counts.clamp(min=1), (counts > 0).to(sums.dtype)], dim=1).view(-1, size, 4)


def _parts(pillars: Pillars, divisions: Divisions) -> tuple[Tensor, Tensor]:
    """The sub-voxel of each point (P,), and where in it the point is, from 0 to 1 (P, 3)."""
    split = torch.tensor(divisions, device=pillars.points.device)
    scaled = (pillars.within + 1) / 2 * split
    cell = torch.minimum(scaled.floor().clamp(min=0), split - 1.0)  # rounding may put a point onto a far face
    x, y, z = cell.long().unbind(1)
    return (z * divisions[1] + y) * divisions[0] + x, scaled - cell


def surfaces(pillars: Pillars, divisions: Divisions) -> Surface:
    """Surfaces through the sub-voxel centroids of every pillar and of its eight neighbours.

    The covariance is taken about the centroid of the pillar's own points. The normal is the direction of least variance,
    turned towards the sensor, which is at the origin.

    Args:
        divisions: sub-voxels (x, y, z) whose centroids are used.

    Source: GeoMAE, Section 3.3; cal_regular_voxel_nor_and_curv of the official code. The sign of its normals is what the
    decomposition happens to give, and pillars without a surface get a direction as well.
    """
    moments = _moments(pillars, divisions)
    near = pillars.grid.neighbours((1, 3, 3)).map
    pairs = torch.cat(near.outputs), torch.cat(near.inputs)  # the pillar itself is not among them
    around = moments.index_add(0, pairs[0], moments[pairs[1]])
    own = pillars.centroids.double()
    count, first, second = around[:, 0, None, None], around[:, 1:4], around[:, 4:].view(-1, 3, 3)
    cross = first.unsqueeze(2) * own.unsqueeze(1)
    scatter = second - cross - cross.mT + count * own.unsqueeze(2) * own.unsqueeze(1)
    values, vectors = torch.linalg.eigh(scatter)  # ascending
    values = values.clamp(min=0)
    normal = vectors[..., 0]
    away = (normal * own).sum(1, keepdim=True) > 0
    normal = torch.where(away, -normal, normal)
    known = values[:, 1] - values[:, 0] > SHARE * values[:, 2] + SPREAD
    values = values + EPSILON  # a single point has equal shares
    curvature = values.flip(1) / values.sum(1, keepdim=True)
    return Surface(normal.float(), curvature.float(), known)


def _moments(pillars: Pillars, divisions: Divisions) -> Tensor:
    """Count, sum and sum of products of the sub-voxel centroids of pillars, in metres: (T, 13) float64."""
    centroids = part_centroids(pillars, divisions)
    pillar, part = centroids[..., 3].nonzero(as_tuple=True)
    split = torch.tensor(divisions, device=pillars.points.device)
    x, y = part % divisions[0], part // divisions[0] % divisions[1]
    cell = torch.stack([x, y, part // (divisions[0] * divisions[1])], dim=1)
    offset = ((centroids[pillar, part, :3] + cell) / split - 0.5) * pillars.size
    places = offset.double() + pillars.centers[pillar].double()
    rows = torch.cat(
        [torch.ones_like(places[:, :1]), places, (places.unsqueeze(2) * places.unsqueeze(1)).flatten(1)], 1
    )
    return rows.new_zeros(len(pillars), 13).index_add_(0, pillar, rows)
