"""Models on voxels, for LiDAR sweeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from core.devices import move_to
from core.errors import UserError
from core.reporting.tables import Table
from mm3d.models import load_model
from mm3d.models.voxel_segmenter import VoxelSegmenter
from mm3d.user_files import Embedded, Looked, OnError, check_ratio
from mm3d.voxels.features import encode_sweeps, samples_of, sweeps_config_of
from mm3d.voxels.pictures import hits, plot_sweeps, sweeps_page
from mm3d.voxels.report import pictures_of, ring_table


def embed(run: str, words: Sequence[str], on_error: OnError, device: str) -> Embedded:
    """Features of whole sweeps."""
    model = load_model(run)
    samples = samples_of(words, model, dataclasses.replace(sweeps_config_of(run), on_error=on_error))
    features = encode_sweeps(model, samples, move_to(model, device))
    return Embedded(features, samples.sweeps.names, samples.sweeps.skipped)


def look(run: str, words: Sequence[str], out: str, seed: int, mask_ratio: float | None, on_error: OnError) -> Looked:
    """Voxels that were shown and hidden, and those that the network finds most probable, from above and to turn.

    Raises:
        UserError: a model that predicts classes.
    """
    model = load_model(run)
    if isinstance(model, VoxelSegmenter):
        raise UserError(
            f"{run}: a {type(model).__name__} is fine-tuned and reconstructs nothing; expected a pretrained run"
        )
    if mask_ratio is not None:
        check_ratio(mask_ratio)
        rings = len(model.config.mask.ratios)
        model.config.mask = dataclasses.replace(model.config.mask, ratios=(mask_ratio,) * rings)
    samples = samples_of(words, model, dataclasses.replace(sweeps_config_of(run), on_error=on_error))
    rows = pictures_of(model, samples, range(len(samples)), seed)
    picture = plot_sweeps(rows, samples.grid, Path(f"{out}.png"))
    page = sweeps_page(rows, samples.grid, Path(f"{out}.html"))
    found = Table(("sweep", "hidden voxels", "of them found"), [(r.title, len(r.hidden), hits(r)) for r in rows])
    tables = (found.text(), ring_table(model, samples, seed=seed).text())
    return Looked((picture, page), tables, samples.sweeps.skipped)
