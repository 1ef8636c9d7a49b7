"""`mm3d convert`."""

from __future__ import annotations

from core.errors import UserError


def convert(checkpoint: str, out: str, heads: int = 6, groups: int = 64, group_size: int = 32) -> None:
    """Weights of the official Point-MAE or Point-BERT repository, tokenizer, pretraining or classifier, as a folder of ours.

    Args:
        checkpoint: the official .pth file; it is read without executing what it holds.
        out: folder to write model.json and weights.safetensors to.
        heads: attention heads (no tensor shows them).
        groups: patches a cloud (no tensor shows them).
        group_size: points a patch.
    """
    from core.cli.convert import empty_folder
    from core.saving import load_foreign, load_strictly
    from mm3d.models import new_model, point_bert_official, point_mae_official
    from mm3d.models.official import state_dict_of

    empty_folder(out)
    state = state_dict_of(load_foreign(checkpoint), checkpoint, "Point-MAE or Point-BERT")
    official = point_bert_official if point_bert_official.knows(state) else point_mae_official
    try:
        config, weights = official.convert(state, heads, groups, group_size, checkpoint)
    except ValueError as error:
        raise UserError(f"{checkpoint}: {error}; no tensor shows heads and patches, so they are options") from error
    model = new_model(config)
    load_strictly(model, weights, checkpoint)
    model.save_pretrained(out)
    print(f"{out}: {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters")
