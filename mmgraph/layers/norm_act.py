"""The norms and activations that encoders choose from."""

from __future__ import annotations

from torch import nn

from core.batchnorm import BatchNorm
from core.prelu import PReLU
from mmgraph.config import GraphEncoderConfig


def new_norm(config: GraphEncoderConfig) -> nn.Module:
    """The norm of an encoder, over its width."""
    return {"none": nn.Identity, "batchnorm": BatchNorm, "layernorm": nn.LayerNorm}[config.norm](config.dim)


def new_activation(config: GraphEncoderConfig) -> nn.Module:
    """The activation of an encoder; PReLU has a slope of its own in every place."""
    return {"prelu": PReLU, "relu": nn.ReLU}[config.activation]()
