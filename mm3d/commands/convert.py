"""`mm3d convert`."""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError


def convert(checkpoint: str, out: str, heads: int = 6, groups: int = 64, group_size: int = 32) -> None:
    """Weights of an official repository as a folder of ours; the encoder of a model on sweeps for detectors.

    Point-MAE, Point-BERT (tokenizer, pretraining, classifier), both Voxel-MAEs and GeoMAE are known by their entries.

    Args:
        checkpoint: the official .pth file, read without executing what it holds; or a run on sweeps, to export.
        out: folder to write model.json and weights.safetensors to; for an export the .pth file.
        heads: attention heads (no tensor shows them).
        groups: patches a cloud (no tensor shows them).
        group_size: points a patch.
    """
    from core.cli.convert import empty_folder
    from core.saving import load_foreign, load_strictly
    from mm3d.commands.pillars import convert_pillars, export_pillar_encoder
    from mm3d.commands.voxels import convert_voxels, export_backbone
    from mm3d.models import new_model, point_bert_official, point_mae_official
    from mm3d.models.official import state_dict_of
    from mm3d.models.pillar_official import is_geomae, is_hess
    from mm3d.pillars.features import takes_pillars

    if Path(checkpoint).is_dir():
        if takes_pillars(checkpoint):
            return export_pillar_encoder(checkpoint, out)
        return export_backbone(checkpoint, out)
    empty_folder(out)
    content = load_foreign(checkpoint)
    if any(name.endswith("conv_input.0.weight") for name in content.get("model_state", content)):
        return convert_voxels(checkpoint, content, out)
    plain = content.get("state_dict", content)
    if isinstance(plain, dict) and (is_hess(plain) or is_geomae(plain)):
        return convert_pillars(checkpoint, plain, out)
    state = state_dict_of(content, checkpoint, "Point-MAE or Point-BERT")
    official = point_bert_official if point_bert_official.knows(state) else point_mae_official
    try:
        config, weights = official.convert(state, heads, groups, group_size, checkpoint)
    except ValueError as error:
        raise UserError(f"{checkpoint}: {error}; no tensor shows heads and patches, so they are options") from error
    model = new_model(config)
    load_strictly(model, weights, checkpoint)
    model.save_pretrained(out)
    print(f"{out}: {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters")
