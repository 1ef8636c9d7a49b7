"""Systems, one file each, and the way from a saved model back to its class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.saving import load_one_of


def classes() -> tuple[type, ...]:
    """All models of mm3d; each has a configuration of its own kind."""
    from mm3d.models.geomae import GeoMAE
    from mm3d.models.part_segmenter import PartSegmenter
    from mm3d.models.point_bert import PointBERT
    from mm3d.models.point_classifier import PointClassifier
    from mm3d.models.point_dvae import PointDVAE
    from mm3d.models.point_mae import PointMAE
    from mm3d.models.voxel_mae import VoxelMAE
    from mm3d.models.voxel_mae_hess import HessVoxelMAE
    from mm3d.models.voxel_segmenter import VoxelSegmenter

    clouds = (PointMAE, PointBERT, PointDVAE, PointClassifier, PartSegmenter)
    return *clouds, VoxelMAE, VoxelSegmenter, HessVoxelMAE, GeoMAE


def new_model(config: Any) -> Any:
    """A model with fresh weights from its configuration."""
    made: dict[type, Any] = {kind.Config: kind for kind in classes()}  # type: ignore[attr-defined]
    return made[type(config)](config)


def load_model(source: str | Path) -> Any:
    """A saved model of any class of mm3d, in evaluation mode, from a run folder, a saved folder or a hub id.

    Raises:
        UserError: not a model of mm3d, or unreadable weights.
    """
    return load_one_of(classes(), source, "mm3d")
