"""Settings, a file for each system. Free of torch, so that the command line answers at once."""

from mmbio.config.data import TextConfig
from mmbio.config.esm import ESM1bConfig, ESM1bRecipe, ESM2Config, ESM2Recipe
from mmbio.config.finetune import SequenceFinetuneRecipe, SequencePredictorConfig
from mmbio.config.mask import TokenMaskConfig
from mmbio.config.probes import ResidueProbeConfig

Recipe = ESM1bRecipe | ESM2Recipe

RECIPES: dict[str, type[Recipe]] = {
    "esm1b": ESM1bRecipe,
    "esm2": ESM2Recipe,
}
"""Dataclasses of the recipes by the word after ``system:``."""

__all__ = [
    "RECIPES",
    "ESM1bConfig",
    "ESM1bRecipe",
    "ESM2Config",
    "ESM2Recipe",
    "Recipe",
    "ResidueProbeConfig",
    "SequenceFinetuneRecipe",
    "SequencePredictorConfig",
    "TextConfig",
    "TokenMaskConfig",
]
