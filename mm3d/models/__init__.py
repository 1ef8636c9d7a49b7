"""Systems, one file each, and the way from a saved model back to its class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.config import did_you_mean
from core.errors import UserError
from core.saving import MODEL, describe, resolve


def load_model(source: str | Path) -> Any:
    """A saved model of any class of mm3d, in evaluation mode, from a run folder, a saved folder or a hub id.

    Raises:
        UserError: not a model of mm3d, or unreadable weights.
    """
    from mm3d.models.part_segmenter import PartSegmenter
    from mm3d.models.point_classifier import PointClassifier
    from mm3d.models.point_mae import PointMAE

    kinds = {kind.__name__: kind for kind in (PointMAE, PointClassifier, PartSegmenter)}
    folder = resolve(source)
    name = describe(folder)["model"]
    if name not in kinds:
        raise UserError(f"{folder / MODEL}: {name!r} is no model of mm3d{did_you_mean(name, kinds)}")
    return kinds[name].from_pretrained(folder)
