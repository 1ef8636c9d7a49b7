"""Names of the official Point-BERT repository (left) and ours (right), for :mod:`mm3d.models.official`.

Source: models/dvae.py and models/Point_BERT.py of github.com/Julie-tang00/Point-BERT (checkpoints hold the state dict under
``base_model``, with a ``module.`` prefix where it was trained on several GPUs).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from core.errors import UserError
from mm3d.config import PatchEncoderConfig, PointBERTConfig, PointClassifierConfig, PointDVAEConfig
from mm3d.config.point_dvae import GRID
from mm3d.models.official import EMBED, depth_of, from_official, to_official

FAMILY = "Point-BERT"


def _graph(theirs: str, ours: str) -> dict[str, str]:
    layers = {f"{theirs}.layer{n}.{a}.": f"{ours}.layers.{n - 1}.{b}." for n in range(1, 5)
              for a, b in ((0, "linear"), (1, "norm"))}  # fmt: skip
    return {
        f"{theirs}.input_trans.": f"{ours}.input.",
        **layers,
        f"{theirs}.layer5.0.": f"{ours}.out.",
        f"{theirs}.layer5.1.": f"{ours}.norm.",
    }


_FOLD = {"0": "fold1", "1": "norm1", "3": "fold2", "4": "norm2", "6": "out"}
DVAE = {
    "codebook": "quantizer.codebook",
    **{f"encoder.{a}.": f"encoder.{b}." for a, b in EMBED.items()},
    **_graph("dgcnn_1", "to_codes"),
    **_graph("dgcnn_2", "from_codes"),
    "decoder.mlp.": "decoder.coarse.",
    **{f"decoder.final_conv.{a}.": f"decoder.{b}." for a, b in _FOLD.items()},
}
"""The dVAE, but for the count of steps, which is ours."""

_QUERY = {
    "cls_token": "special.cls_token",
    "cls_pos": "special.cls_position",
    "mask_token": "special.mask_token",
    **{f"encoder.{a}.": f"encoder.embed.{b}." for a, b in EMBED.items()},
    "reduce_dim.": "encoder.reduce.",
    "pos_embed.": "encoder.position.",
    "blocks.blocks.": "encoder.transformer.blocks.",
    "norm.": "encoder.transformer.norm.",
    "cls_head.": "project.",
}
_TARGET = "objectives.codes.target.module."
PRETRAIN = {
    **{f"transformer_q.{a}": b for a, b in _QUERY.items()},
    "transformer_q.lm_head.": "objectives.codes.head.",
    **{f"transformer_k.{a}": f"key.module.{b}" for a, b in _QUERY.items()},
    **{f"dvae.{a}": f"{_TARGET}{b}" for a, b in DVAE.items()},
    "queue_ptr": "queue.position",
    "queue": "queue.keys",
}
"""The pretraining model, but for the key network's head for codes, which nothing reads."""

CLASSIFIER = {
    **{f"encoder.{a}.": f"encoder.embed.{b}." for a, b in EMBED.items()},
    "reduce_dim.": "encoder.reduce.",
    "pos_embed.": "encoder.position.",
    "blocks.blocks.": "encoder.transformer.blocks.",
    "norm.": "encoder.transformer.norm.",
    "cls_token": "cls_token",
    "cls_pos": "cls_position",
    "cls_head_finetune.": "head.",
}
"""The classifier."""
_DEAD = "transformer_k.lm_head."


def dvae_from_official(state: Mapping[str, Tensor], source: str = "checkpoint", steps: int = 0) -> dict[str, Tensor]:
    """Weights of :class:`~mm3d.models.point_dvae.PointDVAE`; ``steps`` of training are not in the file."""
    return {**from_official(state, DVAE, source, FAMILY), "steps": torch.tensor(steps)}


def dvae_to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`dvae_from_official`."""
    return to_official({name: tensor for name, tensor in state.items() if name != "steps"}, DVAE)


def pretrain_from_official(state: Mapping[str, Tensor], source: str = "checkpoint") -> dict[str, Tensor]:
    """Weights of :class:`~mm3d.models.point_bert.PointBERT`; of the key network's unused head nothing is kept."""
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(_DEAD)}
    ours = from_official(kept, PRETRAIN, source, FAMILY)
    ours["queue.keys"] = ours["queue.keys"].t().contiguous()
    ours["queue.position"] = ours["queue.position"].view(())
    return {**ours, f"{_TARGET}steps": torch.tensor(0)}


def pretrain_to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`pretrain_from_official`; the key network's unused head is a copy of the query network's."""
    theirs = to_official({name: tensor for name, tensor in state.items() if name != f"{_TARGET}steps"}, PRETRAIN)
    theirs["queue"] = theirs["queue"].t().contiguous()
    theirs["queue_ptr"] = theirs["queue_ptr"].view(1)
    head = {name: tensor for name, tensor in theirs.items() if name.startswith("transformer_q.lm_head.")}
    return theirs | {name.replace("transformer_q", "transformer_k"): tensor for name, tensor in head.items()}


Config = PointBERTConfig | PointDVAEConfig | PointClassifierConfig


def knows(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is of this repository: a dVAE, a pretraining model or a classifier (which Point-MAE has too)."""
    return any(name in state for name in ("codebook", "transformer_q.mask_token", "reduce_dim.weight"))


def convert(
    state: Mapping[str, Tensor], heads: int, groups: int, group_size: int, source: str
) -> tuple[Config, dict[str, Tensor]]:
    """The configuration that official weights fit, and the weights under our names.

    What no tensor shows (heads, patches) is given.

    Raises:
        UserError: an entry that tells a size is missing, or that the maps do not know.
    """
    try:
        if "codebook" in state:
            return _dvae_config(state, "", groups, group_size, source), dvae_from_official(state, source)
        if "transformer_q.mask_token" in state:
            config: Config = PointBERTConfig(
                _encoder_config(state, "transformer_q.", heads, groups, group_size),
                _dvae_config(state, "dvae.", groups, group_size, source),
                contrast_dim=state["queue"].shape[0],
                queue=state["queue"].shape[1],
            )
            return config, pretrain_from_official(state, source)
        classes = state["cls_head_finetune.3.weight"].shape[0]
        config = PointClassifierConfig(
            _encoder_config(state, "", heads, groups, group_size),
            tuple(f"class {i}" for i in range(classes)),
            hidden=state["cls_head_finetune.0.weight"].shape[0],
            head_layers=1,
            head_norm=False,
        )
        return config, from_official(state, CLASSIFIER, source, FAMILY)
    except KeyError as error:
        raise UserError(
            f"{source}: entry {error} is missing; expected Point-BERT's dVAE, pretraining or classifier weights"
        ) from error


def _encoder_config(
    state: Mapping[str, Tensor], root: str, heads: int, groups: int, group_size: int
) -> PatchEncoderConfig:
    return PatchEncoderConfig(
        groups=groups,
        group_size=group_size,
        dim=state[f"{root}norm.weight"].shape[0],
        depth=depth_of(state, f"{root}blocks.blocks."),
        heads=heads,
        widths=_widths(state, root),
        embed_dim=state[f"{root}reduce_dim.weight"].shape[1],
    )


def _dvae_config(state: Mapping[str, Tensor], root: str, groups: int, group_size: int, source: str) -> PointDVAEConfig:
    codes, dim = state[f"{root}codebook"].shape
    given = state[f"{root}decoder.mlp.4.weight"].shape[0] // 3 * GRID**2
    if given != group_size:
        raise UserError(f"{source}: decodes {given} points a patch, not {group_size}; give --group_size {given}")
    names = ("input_trans", "layer1.0", "layer2.0", "layer3.0", "layer4.0")
    first, second, third, fourth, fifth = (state[f"{root}dgcnn_1.{name}.weight"].shape[0] for name in names)
    return PointDVAEConfig(
        groups=groups,
        group_size=group_size,
        codes=codes,
        dim=dim,
        widths=_widths(state, root),
        graph_widths=(first, second, third, fourth, fifth),
        coarse_width=state[f"{root}decoder.mlp.0.weight"].shape[0],
        fold_width=state[f"{root}decoder.final_conv.0.weight"].shape[0],
    )


def _widths(state: Mapping[str, Tensor], root: str) -> tuple[int, int, int]:
    first, second, third = (
        state[f"{root}encoder.{name}.weight"].shape[0] for name in ("first_conv.0", "first_conv.3", "second_conv.0")
    )
    return first, second, third
