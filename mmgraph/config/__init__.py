"""Settings, a file for each system. Free of torch, so that the command line answers at once."""

from mmgraph.config.encoder import GraphEncoderConfig
from mmgraph.config.finetune import GraphClassifierConfig, GraphFinetuneRecipe
from mmgraph.config.graphmae import GraphMAEConfig, GraphMAERecipe
from mmgraph.config.probes import GraphProbeConfig, NodeProbeConfig

RECIPES = {"graphmae": GraphMAERecipe}
"""Dataclasses of the recipes by the word after ``system:``."""

__all__ = [
    "RECIPES",
    "GraphClassifierConfig",
    "GraphEncoderConfig",
    "GraphFinetuneRecipe",
    "GraphMAEConfig",
    "GraphMAERecipe",
    "GraphProbeConfig",
    "NodeProbeConfig",
]
