"""The commands of mm3d for models on pillars of LiDAR sweeps."""

from __future__ import annotations

import dataclasses
import io
from argparse import Namespace
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.files import write_atomically


def embed_pillars(options: Namespace) -> None:
    """`mm3d embed` of a model on pillars: an npz with ``features`` (M, F) and ``files`` (M,)."""
    from core.devices import move_to
    from mm3d.models import load_model
    from mm3d.pillar_features import encode_sweeps, pillars_config_of, samples_of

    if not Path(options.out).resolve().parent.is_dir():
        raise UserError(f"--out {options.out}: its folder does not exist")
    model = load_model(options.run)
    config = dataclasses.replace(pillars_config_of(options.run), on_error=options.on_error)
    samples = samples_of(options.inputs, model, config)
    features = encode_sweeps(model, samples, move_to(model, options.device))
    content = io.BytesIO()
    np.savez(content, features=features, files=np.array(samples.sweeps.names))
    try:
        write_atomically(Path(options.out), content.getvalue())
    except OSError as error:
        raise UserError(f"{options.out}: could not be written ({error.strerror or error})") from error
    for name, reason in samples.sweeps.skipped:
        print(f"skipped {name}: {reason.removeprefix(f'{name}: ')}")
    print(f"{options.out}: {features.shape[0]} x {features.shape[1]}")


def reconstruct_pillars(options: Namespace) -> None:
    """`mm3d reconstruct` of a model on pillars: OUT.png from above, OUT.html to turn."""
    from mm3d.models import load_model
    from mm3d.pillar_features import pillars_config_of, samples_of
    from mm3d.pillar_pictures import pillars_page, plot_pillars
    from mm3d.pillar_report import nearness_table, pillar_pictures

    model = load_model(options.run)
    if options.mask_ratio is not None:
        if not 0 < options.mask_ratio < 1:
            raise UserError(f"--mask_ratio {options.mask_ratio}: expected a share between 0 and 1")
        model.config.mask_ratio = options.mask_ratio
    config = dataclasses.replace(pillars_config_of(options.run), on_error=options.on_error)
    samples = samples_of(options.inputs, model, config)
    rows = pillar_pictures(model, samples, range(len(samples)), options.seed)
    try:
        picture = plot_pillars(rows, samples.grid, Path(f"{options.out}.png"))
        page = pillars_page(rows, Path(f"{options.out}.html"))
    except OSError as error:
        raise UserError(f"{options.out}: could not be written ({error.strerror or error})") from error
    for name, reason in samples.sweeps.skipped:
        print(f"skipped {name}: {reason.removeprefix(f'{name}: ')}")
    print(nearness_table(rows).text())
    print(f"{picture}\n{page}")
