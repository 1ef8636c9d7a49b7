"""Names of the official Point-MAE repository (left) and ours (right), for :mod:`mm3d.models.official`.

Source: models/Point_MAE.py of github.com/Pang-Yatian/Point-MAE (checkpoints hold the state dict under ``base_model``,
with a ``module.`` prefix where it was trained on several GPUs).
"""

from __future__ import annotations

from torch import Tensor

from core.errors import UserError
from mm3d.config import PatchEncoderConfig, PointClassifierConfig, PointMAEConfig
from mm3d.models.official import EMBED, depth_of, from_official

ENCODER = {f"encoder.{a}.": f"encoder.embed.{b}." for a, b in EMBED.items()} | {
    "pos_embed.": "encoder.position.",
    "blocks.blocks.": "encoder.transformer.blocks.",
    "norm.": "encoder.transformer.norm.",
}
_DECODER = "objectives.chamfer.head."
PRETRAIN = {f"MAE_encoder.{a}": b for a, b in ENCODER.items()} | {
    "decoder_pos_embed.": f"{_DECODER}position.",
    "MAE_decoder.blocks.": f"{_DECODER}transformer.blocks.",
    "MAE_decoder.norm.": f"{_DECODER}transformer.norm.",
    "increase_dim.0.": f"{_DECODER}points.",
    "mask_token": f"{_DECODER}mask_token",
}
CLASSIFIER = ENCODER | {"cls_token": "cls_token", "cls_pos": "cls_position", "cls_head_finetune.": "head."}


def config_of(
    state: dict[str, Tensor], heads: int, groups: int, group_size: int, source: str
) -> PointMAEConfig | PointClassifierConfig:
    """The configuration that official weights fit; what no tensor shows (heads, patches) is given.

    Raises:
        UserError: an entry that tells a size is missing.
    """
    pretrain = "mask_token" in state
    root = "MAE_encoder." if pretrain else ""
    try:
        dim = state[f"{root}norm.weight"].shape[0]
        encoder = PatchEncoderConfig(
            groups=groups, group_size=group_size, dim=dim, depth=depth_of(state, f"{root}blocks.blocks."), heads=heads
        )
        if pretrain:
            given = state["increase_dim.0.weight"].shape[0] // 3
            if given != group_size:
                raise UserError(
                    f"{source}: predicts {given} points a patch, not {group_size}; give --group_size {given}"
                )
            return PointMAEConfig(encoder, depth_of(state, "MAE_decoder.blocks."), heads)
        count = state["cls_head_finetune.8.weight"].shape[0]
        hidden = state["cls_head_finetune.0.weight"].shape[0]
    except KeyError as error:
        raise UserError(
            f"{source}: entry {error} is missing; expected Point-MAE's pretraining or classifier weights"
        ) from error
    return PointClassifierConfig(encoder, tuple(f"class {i}" for i in range(count)), hidden)


def convert(
    state: dict[str, Tensor], heads: int, groups: int, group_size: int, source: str
) -> tuple[PointMAEConfig | PointClassifierConfig, dict[str, Tensor]]:
    """The configuration that official weights fit (:func:`config_of`), and the weights under our names.

    Raises:
        UserError: an entry that tells a size is missing, or that the maps do not know.
    """
    config = config_of(state, heads, groups, group_size, source)
    names = PRETRAIN if isinstance(config, PointMAEConfig) else CLASSIFIER
    return config, from_official(state, names, source)
