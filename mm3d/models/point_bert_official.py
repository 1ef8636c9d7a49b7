"""Names of the official Point-BERT repository (left) and ours (right), for :mod:`mm3d.models.official`.

Source: models/dvae.py and models/Point_BERT.py of github.com/Julie-tang00/Point-BERT (checkpoints hold the state dict under
``base_model``, with a ``module.`` prefix where it was trained on several GPUs).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mm3d.models.official import EMBED, from_official, to_official

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
