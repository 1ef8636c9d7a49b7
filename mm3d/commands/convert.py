"""`mm3d convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def convert(checkpoint: str, out: str, heads: int = 6, groups: int = 64, group_size: int = 32) -> None:
    """Weights of an official repository as a folder of ours; the encoder of a model on sweeps for detectors.

    Point-MAE, Point-BERT (tokenizer, pretraining, classifier), both Voxel-MAEs and GeoMAE are known by their entries.

    Args:
        checkpoint: the official .pth file, or a folder or index as Hugging Face writes them, read without executing what they
            hold; or a run on sweeps, to export.
        out: folder to write model.json and weights.safetensors to; for an export the .pth file.
        heads: attention heads of a model on points (no tensor shows them).
        groups: patches a cloud (no tensor shows them).
        group_size: points a patch.
    """
    from core.saving import MODEL, load_foreign, load_strictly

    if (Path(checkpoint) / MODEL).is_file():
        return _export(checkpoint, out)
    from core.cli.convert import empty_folder
    from mm3d.models import new_model

    empty_folder(out)
    config, weights = _converted(load_foreign(checkpoint), checkpoint, heads, groups, group_size)
    model = new_model(config)
    load_strictly(model, weights, checkpoint)
    model.save_pretrained(out)
    print(f"{out}: {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters")


def _converted(
    content: dict[str, Any], source: str, heads: int, groups: int, group_size: int
) -> tuple[Any, dict[str, Tensor]]:
    """Configuration and weights of ours, by the entries of an official file."""
    from mm3d.models import pillar_official, point_bert_official, point_mae_official, voxel_mae_official
    from mm3d.models.official import state_dict_of

    for sweeps in (voxel_mae_official, pillar_official):
        if sweeps.knows(content):
            return sweeps.convert(content, source)
    state = state_dict_of(content, source, "Point-MAE or Point-BERT")
    points = point_bert_official if point_bert_official.knows(state) else point_mae_official
    try:
        return points.convert(state, heads, groups, group_size, source)
    except ValueError as error:
        raise UserError(f"{source}: {error}; no tensor shows heads and patches, so they are options") from error


def _export(run: str, out: str) -> None:
    """The encoder of a model on sweeps under the names of detectors that have it, as a .pth that they load.

    Raises:
        UserError: another model than one on sweeps, or a file that exists.
    """
    import io

    import torch

    from core.files import write_atomically
    from mm3d.models import load_model, pillar_official, voxel_mae_official
    from mm3d.pillars.features import takes_pillars
    from mm3d.voxels.features import takes_sweeps

    if not takes_sweeps(run) and not takes_pillars(run):
        raise UserError(f"{run}: no model on sweeps; only their encoders are exported")
    path = Path(out)
    if path.suffix != ".pth" or path.exists():
        raise UserError(f"{out}: expected the name of a new .pth file")
    official = pillar_official if takes_pillars(run) else voxel_mae_official
    state = official.backbone_for_detectors(load_model(run).state_dict())
    content = io.BytesIO()
    torch.save({official.WRAPPER: {name: tensor.cpu() for name, tensor in state.items()}}, content)
    try:
        write_atomically(path, content.getvalue())
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error.strerror or error})") from error
    print(f"{out}: {len(state)} entries, named {official.EXPORTED}")
