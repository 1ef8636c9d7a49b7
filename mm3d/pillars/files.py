"""Models on pillars, for LiDAR sweeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from core.devices import move_to
from mm3d.models import load_model
from mm3d.pillars.features import pillars_config_of, samples_of
from mm3d.pillars.pictures import pillars_page, plot_pillars
from mm3d.pillars.report import nearness_table, pillar_pictures
from mm3d.user_files import Embedded, Looked, OnError, check_ratio
from mm3d.voxels.features import encode_sweeps


def embed(run: str, words: Sequence[str], on_error: OnError, device: str) -> Embedded:
    """Features of whole sweeps."""
    model = load_model(run)
    samples = samples_of(words, model, dataclasses.replace(pillars_config_of(run), on_error=on_error))
    features = encode_sweeps(model, samples, move_to(model, device))
    return Embedded(features, samples.sweeps.names, samples.sweeps.skipped)


def look(run: str, words: Sequence[str], out: str, seed: int, mask_ratio: float | None, on_error: OnError) -> Looked:
    """Points of shown and hidden pillars, and what was predicted, from above and to turn."""
    model = load_model(run)
    if mask_ratio is not None:
        check_ratio(mask_ratio)
        model.config.mask_ratio = mask_ratio
    samples = samples_of(words, model, dataclasses.replace(pillars_config_of(run), on_error=on_error))
    rows = pillar_pictures(model, samples, range(len(samples)), seed)
    picture = plot_pillars(rows, samples.grid, Path(f"{out}.png"))
    page = pillars_page(rows, Path(f"{out}.html"))
    return Looked((picture, page), (nearness_table(rows).text(),), samples.sweeps.skipped)
