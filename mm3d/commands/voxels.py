"""The commands of mm3d for models on LiDAR sweeps."""

from __future__ import annotations

import dataclasses
import io
from argparse import Namespace
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.files import write_atomically


def embed_sweeps(options: Namespace) -> None:
    """`mm3d embed` of a model on sweeps: an npz with ``features`` (M, F) and ``files`` (M,)."""
    from core.devices import move_to
    from mm3d.models import load_model
    from mm3d.voxels.features import encode_sweeps, samples_of, sweeps_config_of

    if not Path(options.out).resolve().parent.is_dir():
        raise UserError(f"--out {options.out}: its folder does not exist")
    model = load_model(options.run)
    config = dataclasses.replace(sweeps_config_of(options.run), on_error=options.on_error)
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


def reconstruct_sweeps(options: Namespace) -> None:
    """`mm3d reconstruct` of a model on sweeps: OUT.png from above, OUT.html to turn."""
    from core.reporting.tables import Table
    from mm3d.models import load_model
    from mm3d.voxels.features import samples_of, sweeps_config_of
    from mm3d.voxels.pictures import hits, plot_sweeps, sweeps_page
    from mm3d.voxels.report import pictures_of, ring_table

    model = load_model(options.run)
    if options.mask_ratio is not None:
        if not 0 < options.mask_ratio < 1:
            raise UserError(f"--mask_ratio {options.mask_ratio}: expected a share between 0 and 1")
        rings = len(model.config.mask.ratios)
        model.config.mask = dataclasses.replace(model.config.mask, ratios=(options.mask_ratio,) * rings)
    config = dataclasses.replace(sweeps_config_of(options.run), on_error=options.on_error)
    samples = samples_of(options.inputs, model, config)
    rows = pictures_of(model, samples, range(len(samples)), options.seed)
    try:
        picture = plot_sweeps(rows, samples.grid, Path(f"{options.out}.png"))
        page = sweeps_page(rows, samples.grid, Path(f"{options.out}.html"))
    except OSError as error:
        raise UserError(f"{options.out}: could not be written ({error.strerror or error})") from error
    for name, reason in samples.sweeps.skipped:
        print(f"skipped {name}: {reason.removeprefix(f'{name}: ')}")
    print(Table(("sweep", "hidden voxels", "of them found"), [(r.title, len(r.hidden), hits(r)) for r in rows]).text())
    print(ring_table(model, samples, seed=options.seed).text())
    print(f"{picture}\n{page}")


def probe_sweeps(run: str, data: str, seeds: int, out: str | None) -> None:
    """`mm3d probe` of a model on sweeps: the class of single voxels from frozen features, beside two controls."""
    import json

    from core.reporting.tables import Table
    from mm3d.data.semantic_kitti import labelled_sweeps
    from mm3d.models import load_model
    from mm3d.voxels.features import sweeps_config_of
    from mm3d.voxels.probe import SPLIT_BY_SWEEP, probe_voxels, voxel_set

    model, config = load_model(run), sweeps_config_of(run)
    sweeps, classes = labelled_sweeps(data, config)
    found = voxel_set(sweeps, config, model)
    rows = probe_voxels(model, found, seeds)
    how = "the last quarter of the sweeps" if len(sweeps) >= SPLIT_BY_SWEEP else "every fourth sector: a smoke test"
    held = len(found.joined(True))
    print(f"{data}: {len(classes)} classes, {held:,} held-out voxels of {len(sweeps)} sweeps ({how}), {seeds} seeds")
    print(Table(("features of a voxel", "accuracy", "mean IoU"), rows).text())
    target = Path(out) if out else Path(run) / "probe.json"
    if out is None and not target.parent.is_dir():
        return
    scores = [{"features": name, "accuracy": a.mean, "miou": m.mean, "miou_std": m.std} for name, a, m in rows]
    said = {"data": data, "held_out": how, "voxels": held, "seeds": seeds, "results": scores}
    try:
        write_atomically(target, json.dumps(said, indent=2).encode())
    except OSError as error:
        raise UserError(f"{target}: could not be written ({error.strerror or error})") from error


def finetune_sweeps(run: str, data: str = "street", seeds: int = 2, steps: int = 100, lr: float = 3e-3) -> None:
    """Fine-tune a model on sweeps for the class of every voxel, beside the same network from scratch; prints the scores.

    Args:
        run: run folder, saved model or hub id.
        data: labelled sweeps: a SemanticKITTI folder, an npz, or street.
        seeds: how many runs of each.
        steps: of the optimiser, one sweep each.
        lr: largest learning rate.
    """
    from core.reporting.tables import Table
    from mm3d.data.semantic_kitti import labelled_sweeps
    from mm3d.models import load_model
    from mm3d.voxels.features import sweeps_config_of
    from mm3d.voxels.finetune import finetune_voxels
    from mm3d.voxels.probe import SPLIT_BY_SWEEP, voxel_set

    for name, value in (("seeds", seeds), ("steps", steps)):
        if value < 1:
            raise UserError(f"--{name} {value}: expected at least 1")
    if not 0 < lr < 1:
        raise UserError(f"--lr {lr}: expected a rate between 0 and 1")
    model, config = load_model(run), sweeps_config_of(run)
    sweeps, classes = labelled_sweeps(data, config)
    found = voxel_set(sweeps, config, model)
    rows = finetune_voxels(model, found, len(classes), seeds, steps, lr)
    how = "the last quarter of the sweeps" if len(sweeps) >= SPLIT_BY_SWEEP else "every fourth sector: a smoke test"
    print(f"{data}: {len(classes)} classes, {len(found.joined(True)):,} held-out voxels ({how}), {seeds} seeds")
    print(Table(("fine-tuned from", "accuracy", "mean IoU"), rows).text())


def convert_voxels(checkpoint: str, content: dict, out: str) -> None:
    """Weights of the official Voxel-MAE as a folder of ours, on KITTI's grid, which no tensor shows.

    Raises:
        UserError: not weights of Voxel-MAE.
    """
    from core.cli.convert import empty_folder
    from core.saving import load_strictly
    from mm3d.config.voxels import GridConfig
    from mm3d.models.voxel_mae import VoxelMAE
    from mm3d.models.voxel_mae_official import config_of, from_official, state_dict_of

    empty_folder(out)
    state = state_dict_of(content, checkpoint)
    model = VoxelMAE(config_of(state, GridConfig(), checkpoint))
    load_strictly(model, from_official(state, checkpoint), checkpoint)
    model.save_pretrained(out)
    print(f"{out}: VoxelMAE, {sum(p.numel() for p in model.parameters()):,} parameters")


def export_backbone(run: str, out: str) -> None:
    """The backbone of a model of ours under the names of OpenPCDet's detectors, as a .pth that they load.

    Raises:
        UserError: another model than one on sweeps, or a file that exists.
    """
    import torch

    from mm3d.models import load_model
    from mm3d.models.voxel_mae_official import backbone_for_detectors
    from mm3d.voxels.features import takes_sweeps

    if not takes_sweeps(run):
        raise UserError(f"{run}: no model on sweeps; only their backbones are exported")
    path = Path(out)
    if path.suffix != ".pth" or path.exists():
        raise UserError(f"{out}: expected the name of a new .pth file")
    state = {name: tensor.cpu() for name, tensor in backbone_for_detectors(load_model(run).state_dict()).items()}
    content = io.BytesIO()
    torch.save({"model_state": state}, content)
    try:
        write_atomically(path, content.getvalue())
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error.strerror or error})") from error
    print(f"{out}: {len(state)} entries of VoxelBackBone8x, named backbone_3d.*")
