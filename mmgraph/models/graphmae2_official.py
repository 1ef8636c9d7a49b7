"""State dicts of GraphMAE2's official repository in our names."""

from __future__ import annotations

import re

from torch import Tensor

from mmgraph.config import GraphMAE2Config
from mmgraph.models.graphmae_official import of_decoder, of_stack, renamed

HEAD = "objectives.latent.head"
TEACHER = "objectives.latent.target.module"
WHOLE = {
    "enc_mask_token": "encoder.token",
    "dec_mask_token": "objectives.sce.head.token",
    "encoder_to_decoder.weight": "objectives.sce.head.bridge.weight",
}
STARTS = {"projector": f"{HEAD}.projector", "predictor": f"{HEAD}.predictor", "projector_ema": f"{TEACHER}.projector"}


def from_official(weights: dict[str, Tensor], config: GraphMAE2Config) -> dict[str, Tensor]:
    """Official names to ours.

    Args:
        config: with a fixed re-mask the decoder's token, which is then never used, is left out.

    Raises:
        UserError: an entry that GraphMAE2 does not have.
    """
    unused = "dec_mask_token" if config.remask == "fixed" else None
    return renamed({name: tensor for name, tensor in weights.items() if name != unused}, _ours, "GraphMAE2")


def _ours(name: str) -> str | None:
    if name in WHOLE:
        return WHOLE[name]
    part = re.fullmatch(r"(projector|predictor|projector_ema)\.(\d\.\w+)", name)
    if part is not None:
        return f"{STARTS[part.group(1)]}.{part.group(2)}"
    return (
        of_stack(name, "encoder", "encoder.encoder")
        or of_stack(name, "encoder_ema", f"{TEACHER}.encoder")
        or of_decoder(name, "objectives.sce.head.layer")
    )
