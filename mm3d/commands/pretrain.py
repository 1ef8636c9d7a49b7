"""`mm3d pretrain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.cli.training import training_command
from mm3d.config import PointBERTRecipe, PointMAERecipe
from mm3d.config.pillars import GeoMAERecipe, HessVoxelMAERecipe
from mm3d.config.voxels import VoxelMAERecipe

RECIPES = {
    "point_mae": PointMAERecipe,
    "point_bert": PointBERTRecipe,
    "voxel_mae": VoxelMAERecipe,
    "voxel_mae_hess": HessVoxelMAERecipe,
    "geomae": GeoMAERecipe,
}


def main(words: list[str]) -> None:
    """Parse a recipe with its overrides, train, and write the report."""
    training_command("mm3d", "pretrain", "point_mae", RECIPES, _pretrain, words)


def _pretrain() -> Callable[..., Any]:
    from mm3d.pretrain import pretrain

    return pretrain
