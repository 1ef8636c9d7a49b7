"""Settings, a file for each system. Free of torch, so that the command line answers at once."""

from mmbio.config.data import TextConfig
from mmbio.config.esm import ESM1bConfig, ESM1bRecipe, ESM2Config, ESM2Recipe
from mmbio.config.mask import TokenMaskConfig
from mmbio.config.molformer import MolFormerConfig, MolFormerRecipe
from mmbio.config.smiles_bert import SmilesBertConfig, SmilesBertRecipe

Recipe = ESM1bRecipe | ESM2Recipe | MolFormerRecipe | SmilesBertRecipe

RECIPES: dict[str, type[Recipe]] = {
    "esm1b": ESM1bRecipe,
    "esm2": ESM2Recipe,
    "molformer": MolFormerRecipe,
    "smiles_bert": SmilesBertRecipe,
}
"""Dataclasses of the recipes by the word after ``system:``."""

__all__ = [
    "RECIPES",
    "ESM1bConfig",
    "ESM1bRecipe",
    "ESM2Config",
    "ESM2Recipe",
    "MolFormerConfig",
    "MolFormerRecipe",
    "Recipe",
    "SmilesBertConfig",
    "SmilesBertRecipe",
    "TextConfig",
    "TokenMaskConfig",
]
