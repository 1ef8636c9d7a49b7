"""Settings, a file for each system. Free of torch, so that the command line answers at once."""

from mm3d.config.finetune import FinetuneRecipe, PartSegmenterConfig, PointClassifierConfig
from mm3d.config.patch_encoder import PatchEncoderConfig
from mm3d.config.point_bert import PointBERTConfig, PointBERTRecipe
from mm3d.config.point_dvae import CosineConfig, PointDVAEConfig, PointDVAERecipe
from mm3d.config.point_mae import PointMAEConfig, PointMAERecipe
from mm3d.config.points import Patching, PointsConfig
from mm3d.config.sweep_finetune import SweepFinetuneRecipe, VoxelSegmenterConfig

__all__ = [
    "CosineConfig",
    "FinetuneRecipe",
    "PartSegmenterConfig",
    "PatchEncoderConfig",
    "Patching",
    "PointBERTConfig",
    "PointBERTRecipe",
    "PointClassifierConfig",
    "PointDVAEConfig",
    "PointDVAERecipe",
    "PointMAEConfig",
    "PointMAERecipe",
    "PointsConfig",
    "SweepFinetuneRecipe",
    "VoxelSegmenterConfig",
]
