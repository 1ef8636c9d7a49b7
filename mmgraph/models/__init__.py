"""Systems, one file each, and the ways from a configuration or a saved model to its class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.config import did_you_mean
from core.errors import UserError
from core.saving import MODEL, describe, resolve


def classes() -> tuple[type, ...]:
    """All models of mmgraph; each has a configuration of its own kind."""
    from mmgraph.models.attr_masking import AttrMasking
    from mmgraph.models.gmae import GMAE
    from mmgraph.models.graphmae import GraphMAE
    from mmgraph.models.graphmae2 import GraphMAE2
    from mmgraph.models.maskgae import MaskGAE
    from mmgraph.models.mgae import MGAE

    return (AttrMasking, GMAE, GraphMAE, GraphMAE2, MaskGAE, MGAE)


def new_model(config: Any) -> Any:
    """An untrained model of the class that a configuration belongs to."""
    (kind,) = (kind for kind in classes() if kind.Config is type(config))  # type: ignore[attr-defined]
    return kind(config)


def load_model(source: str | Path) -> Any:
    """A saved model of any class of mmgraph, in evaluation mode, from a run folder, a saved folder or a hub id.

    Raises:
        UserError: not a model of mmgraph, or unreadable weights.
    """
    kinds = {kind.__name__: kind for kind in classes()}
    folder = resolve(source)
    name = describe(folder)["model"]
    if name not in kinds:
        raise UserError(f"{folder / MODEL}: {name!r} is no model of mmgraph{did_you_mean(name, kinds)}")
    return kinds[name].from_pretrained(folder)  # type: ignore[attr-defined]
