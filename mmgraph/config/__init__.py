"""Settings, a file for each system. Free of torch, so that the command line answers at once."""

from mmgraph.config.attr_masking import AttrMaskingConfig, AttrMaskingRecipe
from mmgraph.config.encoder import GraphEncoderConfig
from mmgraph.config.finetune import GraphClassifierConfig, GraphFinetuneRecipe
from mmgraph.config.gmae import GMAEConfig, GMAERecipe
from mmgraph.config.graphmae import GraphMAEConfig, GraphMAERecipe
from mmgraph.config.graphmae2 import GraphMAE2Config, GraphMAE2Recipe
from mmgraph.config.links import LinksConfig
from mmgraph.config.maskgae import EdgeMaskConfig, MaskGAEConfig, MaskGAERecipe
from mmgraph.config.mgae import MGAEConfig, MGAERecipe
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig
from mmgraph.config.sampling import SamplingConfig

Recipe = AttrMaskingRecipe | GMAERecipe | GraphMAERecipe | GraphMAE2Recipe | MaskGAERecipe | MGAERecipe

RECIPES: dict[str, type[Recipe]] = {
    "attr_masking": AttrMaskingRecipe,
    "gmae": GMAERecipe,
    "graphmae": GraphMAERecipe,
    "graphmae2": GraphMAE2Recipe,
    "maskgae": MaskGAERecipe,
    "mgae": MGAERecipe,
}
"""Dataclasses of the recipes by the word after ``system:``."""

__all__ = [
    "RECIPES",
    "AttrMaskingConfig",
    "AttrMaskingRecipe",
    "EdgeMaskConfig",
    "GMAEConfig",
    "GMAERecipe",
    "GraphClassifierConfig",
    "GraphEncoderConfig",
    "GraphFinetuneRecipe",
    "GraphMAE2Config",
    "GraphMAE2Recipe",
    "GraphMAEConfig",
    "GraphMAERecipe",
    "GraphProbeConfig",
    "LinksConfig",
    "MGAEConfig",
    "MGAERecipe",
    "MaskGAEConfig",
    "MaskGAERecipe",
    "NodeProbeConfig",
    "Recipe",
    "SamplingConfig",
]
