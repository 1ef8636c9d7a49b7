"""A sweep cut into pillars, as probes want it."""

from __future__ import annotations

from torch import Tensor

from mm3d.config.pillars import PillarEncoderConfig
from mm3d.config.voxels import SweepsConfig
from mm3d.data.pillar_samples import pillar_batch
from mm3d.layers.pillars import Pillars, pillarize
from mm3d.ops.voxelize import voxelize
from mm3d.voxels.cells import Cells


def pillar_cells(points: Tensor, config: SweepsConfig, encoder: PillarEncoderConfig) -> Cells:
    """The pillars of a sweep (N, 4), all of them."""
    grid = encoder.grid
    made = pillarize(points[:, : encoder.features], grid, config.max_points)
    cell_of = voxelize(points, grid.low, grid.voxel_size, grid.shape).voxel_of
    batch = pillar_batch([made])
    pillars = Pillars(batch, grid)
    return Cells(batch, cell_of, pillars.mean(batch.points))
