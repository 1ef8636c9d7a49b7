"""Systems, one file each, and the ways from a configuration or a saved model to its class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.saving import load_one_of

if TYPE_CHECKING:
    from torch import Tensor


def classes() -> tuple[type, ...]:
    """All models of mmgraph; each has a configuration of its own kind."""
    from mmgraph.models.attr_masking import AttrMasking
    from mmgraph.models.classifier import GraphClassifier
    from mmgraph.models.gmae import GMAE
    from mmgraph.models.graphmae import GraphMAE
    from mmgraph.models.graphmae2 import GraphMAE2
    from mmgraph.models.maskgae import MaskGAE
    from mmgraph.models.mgae import MGAE

    return (AttrMasking, GMAE, GraphClassifier, GraphMAE, GraphMAE2, MaskGAE, MGAE)


def converters() -> dict[type, Callable[[dict[str, Tensor], Any], dict[str, Tensor]]]:
    """Models whose official state dicts `mmgraph convert` takes: functions from official names and our model to our names."""
    from mmgraph.models import (
        attr_masking_official,
        gmae_official,
        graphmae2_official,
        graphmae_official,
        maskgae_official,
    )
    from mmgraph.models.attr_masking import AttrMasking
    from mmgraph.models.gmae import GMAE
    from mmgraph.models.graphmae import GraphMAE
    from mmgraph.models.graphmae2 import GraphMAE2
    from mmgraph.models.maskgae import MaskGAE

    return {
        AttrMasking: attr_masking_official.with_heads,
        GMAE: lambda weights, model: gmae_official.from_official(weights, model.config),
        GraphMAE: lambda weights, model: graphmae_official.from_official(weights),
        GraphMAE2: lambda weights, model: graphmae2_official.from_official(weights, model.config),
        MaskGAE: lambda weights, model: maskgae_official.from_official(weights, model.config),
    }


def new_model(config: Any) -> Any:
    """An untrained model of the class that a configuration belongs to."""
    (kind,) = (kind for kind in classes() if kind.Config is type(config))  # type: ignore[attr-defined]
    return kind(config)


def load_model(source: str | Path) -> Any:
    """A saved model of any class of mmgraph, in evaluation mode, from a run folder, a saved folder or a hub id.

    Raises:
        UserError: not a model of mmgraph, or unreadable weights.
    """
    return load_one_of(classes(), source, "mmgraph")
