"""The commands of mm3d for models on pillars of LiDAR sweeps."""

from __future__ import annotations

import dataclasses
import io
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.errors import UserError
from core.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor


def embed_pillars(options: Namespace) -> None:
    """`mm3d embed` of a model on pillars: an npz with ``features`` (M, F) and ``files`` (M,)."""
    from core.devices import move_to
    from mm3d.models import load_model
    from mm3d.pillars.features import encode_sweeps, pillars_config_of, samples_of

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
    from mm3d.pillars.features import pillars_config_of, samples_of
    from mm3d.pillars.pictures import pillars_page, plot_pillars
    from mm3d.pillars.report import nearness_table, pillar_pictures

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


def convert_pillars(checkpoint: str, state: dict[str, Tensor], out: str) -> None:
    """Weights of the official Voxel-MAE (Hess et al.) or GeoMAE as a folder of ours, on the published grid.

    Raises:
        UserError: weights of another network.
    """
    from core.saving import load_strictly
    from mm3d.config.pillars import GeoMAEConfig
    from mm3d.models.geomae import GeoMAE
    from mm3d.models.pillar_official import config_of, from_official
    from mm3d.models.voxel_mae_hess import HessVoxelMAE

    config = config_of(state, checkpoint)
    model = GeoMAE(config) if isinstance(config, GeoMAEConfig) else HessVoxelMAE(config)
    load_strictly(model, from_official(state, model.state_dict(), checkpoint), checkpoint)
    model.save_pretrained(out)
    print(f"{out}: {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters")


def export_pillar_encoder(run: str, out: str) -> None:
    """The encoder of a model of ours under the names of detectors on SST, as a .pth that they load.

    Raises:
        UserError: a file that exists, or of another kind.
    """
    import torch

    from mm3d.models import load_model
    from mm3d.models.pillar_official import backbone_for_detectors

    path = Path(out)
    if path.suffix != ".pth" or path.exists():
        raise UserError(f"{out}: expected the name of a new .pth file")
    state = {name: tensor.cpu() for name, tensor in backbone_for_detectors(load_model(run).state_dict()).items()}
    content = io.BytesIO()
    torch.save({"state_dict": state}, content)
    try:
        write_atomically(path, content.getvalue())
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error.strerror or error})") from error
    print(f"{out}: {len(state)} entries of SST, named voxel_encoder.* and backbone.block_list.*")
