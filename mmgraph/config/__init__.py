"""Settings, a file for each system. Free of torch, so that the command line answers at once."""

from mmgraph.config.attr_masking import AttrMaskingConfig, AttrMaskingRecipe
from mmgraph.config.encoder import GraphEncoderConfig
from mmgraph.config.graphmae import GraphMAEConfig, GraphMAERecipe
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig

RECIPES = {"attr_masking": AttrMaskingRecipe, "graphmae": GraphMAERecipe}
"""Dataclasses of the recipes by the word after ``system:``."""

__all__ = [
    "RECIPES",
    "AttrMaskingConfig",
    "AttrMaskingRecipe",
    "GraphEncoderConfig",
    "GraphMAEConfig",
    "GraphMAERecipe",
    "GraphProbeConfig",
    "NodeProbeConfig",
]
