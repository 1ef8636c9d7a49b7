"""Settings, a file for each system. Free of torch, so that the command line answers at once."""

from mmgraph.config.encoder import GraphEncoderConfig
from mmgraph.config.graphmae import GraphMAEConfig, GraphMAERecipe
from mmgraph.config.graphmae2 import GraphMAE2Config, GraphMAE2Recipe
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig

RECIPES = {"graphmae": GraphMAERecipe, "graphmae2": GraphMAE2Recipe}
"""Dataclasses of the recipes by the word after ``system:``."""

__all__ = [
    "RECIPES",
    "GraphEncoderConfig",
    "GraphMAE2Config",
    "GraphMAE2Recipe",
    "GraphMAEConfig",
    "GraphMAERecipe",
    "GraphProbeConfig",
    "NodeProbeConfig",
]
