"""Settings, a file for each system. Free of torch, so that the command line answers at once."""

from mmgraph.config.encoder import GraphEncoderConfig
from mmgraph.config.graphmae import GraphMAEConfig, GraphMAERecipe
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig
from mmgraph.config.sampling import SamplingConfig

RECIPES = {"graphmae": GraphMAERecipe}
"""Dataclasses of the recipes by the word after ``system:``."""

__all__ = [
    "RECIPES",
    "GraphEncoderConfig",
    "GraphMAEConfig",
    "GraphMAERecipe",
    "GraphProbeConfig",
    "NodeProbeConfig",
    "SamplingConfig",
]
