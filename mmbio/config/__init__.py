"""Settings, a file for each system. Free of torch, so that the command line answers at once."""

from mmbio.config.abbert import AbBERTConfig, AbBERTRecipe
from mmbio.config.ac_mlm import ACMLMConfig, ACMLMRecipe
from mmbio.config.attr_masking import MoleculeAttrMaskingRecipe
from mmbio.config.cpcprot import CPCProtConfig, CPCProtRecipe
from mmbio.config.data import GraphDataConfig, HeldOutConfig, TextConfig
from mmbio.config.esm import ESM1bConfig, ESM1bRecipe, ESM2Config, ESM2Recipe
from mmbio.config.finetune import SequenceFinetuneRecipe, SequencePredictorConfig
from mmbio.config.mask import TokenMaskConfig
from mmbio.config.mole_bert import (
    MoleBertConfig,
    MoleBertRecipe,
    MoleBertTokenizerConfig,
    MoleBertTokenizerRecipe,
)
from mmbio.config.molformer import MolFormerConfig, MolFormerRecipe
from mmbio.config.msa import CellMaskConfig, MSADataConfig, MSATransformerConfig, MSATransformerRecipe
from mmbio.config.pmlm import PMLMConfig, PMLMRecipe
from mmbio.config.probes import ResidueProbeConfig
from mmbio.config.smiles_bert import SmilesBertConfig, SmilesBertRecipe
from mmbio.config.tape import TapeConfig, TapeRecipe

TextRecipe = (
    ACMLMRecipe
    | AbBERTRecipe
    | CPCProtRecipe
    | ESM1bRecipe
    | ESM2Recipe
    | MolFormerRecipe
    | MoleBertRecipe
    | MoleculeAttrMaskingRecipe
    | PMLMRecipe
    | SmilesBertRecipe
    | TapeRecipe
)
"""Systems that learn from single sequences or molecules."""

Recipe = TextRecipe | MSATransformerRecipe

RECIPES: dict[str, type[Recipe]] = {
    "abbert": AbBERTRecipe,
    "attr_masking": MoleculeAttrMaskingRecipe,
    "ac_mlm": ACMLMRecipe,
    "cpcprot": CPCProtRecipe,
    "esm1b": ESM1bRecipe,
    "esm2": ESM2Recipe,
    "msa_transformer": MSATransformerRecipe,
    "pmlm": PMLMRecipe,
    "tape": TapeRecipe,
    "mole_bert": MoleBertRecipe,
    "molformer": MolFormerRecipe,
    "smiles_bert": SmilesBertRecipe,
}
"""Dataclasses of the recipes by the word after ``system:``."""

TOKENIZERS: dict[str, type[MoleBertTokenizerRecipe]] = {"mole_bert_tokenizer": MoleBertTokenizerRecipe}
"""The same of tokenizers, which `mmbio tokenize` trains."""

__all__ = [
    "RECIPES",
    "TOKENIZERS",
    "ACMLMConfig",
    "ACMLMRecipe",
    "AbBERTConfig",
    "AbBERTRecipe",
    "CPCProtConfig",
    "CPCProtRecipe",
    "CellMaskConfig",
    "ESM1bConfig",
    "ESM1bRecipe",
    "ESM2Config",
    "ESM2Recipe",
    "GraphDataConfig",
    "HeldOutConfig",
    "MSADataConfig",
    "MSATransformerConfig",
    "MSATransformerRecipe",
    "MolFormerConfig",
    "MolFormerRecipe",
    "MoleBertConfig",
    "MoleBertRecipe",
    "MoleBertTokenizerConfig",
    "MoleBertTokenizerRecipe",
    "MoleculeAttrMaskingRecipe",
    "PMLMConfig",
    "PMLMRecipe",
    "Recipe",
    "ResidueProbeConfig",
    "SequenceFinetuneRecipe",
    "SequencePredictorConfig",
    "SmilesBertConfig",
    "SmilesBertRecipe",
    "TapeConfig",
    "TapeRecipe",
    "TextConfig",
    "TextRecipe",
    "TokenMaskConfig",
]
