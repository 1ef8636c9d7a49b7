"""Weights of the official Voxel-MAE (Hess et al.) and GeoMAE as ours and back, and encoders as SST's detectors name them.

Both official codes are forks of SST: ``voxel_encoder.vfe_layers`` holds the point layers, a block's ``encoder_list`` its two
window layers. They write vectors of GeoMAE as (z, y, x), we as (x, y, z).

Source: mmdet3d/models of github.com/georghess/voxel-mae and github.com/Tsinghua-MARS-Lab/GeoMAE.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from core.errors import UserError
from mm3d.config.pillars import GeoMAEConfig, HessVoxelMAEConfig, PillarEncoderConfig

_POINT = {"embed.point": "0.linear", "embed.point_norm": "0.norm", "embed.mix": "1.linear", "embed.mix_norm": "1.norm"}
_LAYER = {
    "attn.qkv.weight": "win_attn.self_attn.in_proj_weight",
    "attn.qkv.bias": "win_attn.self_attn.in_proj_bias",
    "attn.proj.weight": "win_attn.self_attn.out_proj.weight",
    "attn.proj.bias": "win_attn.self_attn.out_proj.bias",
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
    "mlp.fc1.weight": "linear1.weight",
    "mlp.fc1.bias": "linear1.bias",
    "mlp.fc2.weight": "linear2.weight",
    "mlp.fc2.bias": "linear2.bias",
}
_HESS = {
    "encoder.backbone.transformer": "backbone.block_list",
    "encoder.decoders.points": "neck.block_list",
    "encoder.mask_token": "neck.mask_token",
    "objectives.chamfer.head.linear": "bbox_head.conv_chamfer",
    "objectives.count.head.linear": "bbox_head.conv_num_points",
    "objectives.empty.head.linear": "bbox_head.conv_occupied",
}
_GEOMAE = {
    "encoder.backbone.transformer": "backbone.encoder_blocks",
    "encoder.decoders.centroids": "backbone.decoder_centroid_blocks",
    "encoder.decoders.surface": "backbone.decoder_density_blocks",
    "encoder.mask_token": "backbone.mask_token",
    "objectives.centroid_low.head.linear": "backbone.decoder_pred_low",
    "objectives.centroid_middle.head.linear": "backbone.decoder_pred_med",
    "objectives.centroid_whole.head.linear": "backbone.decoder_pred_top",
    "objectives.occupied_low.head.linear": "backbone.cls_pred_low",
    "objectives.occupied_middle.head.linear": "backbone.cls_pred_med",
    "objectives.normal.head.linear": "backbone.decoder_pred_density_top",
}
WRAPPER = "state_dict"
"""The key under which checkpoints of mmdet3d have the weights."""
EXPORTED = "voxel_encoder.* and backbone.block_list.*, as SST's detectors"
_VECTORS = ("objectives.centroid", "objectives.normal")


def knows(checkpoint: dict[str, Any]) -> bool:
    """Whether an official file holds one of the two."""
    plain = checkpoint.get(WRAPPER, checkpoint)
    return isinstance(plain, dict) and (is_hess(plain) or is_geomae(plain))


def convert(checkpoint: dict[str, Any], source: str) -> tuple[HessVoxelMAEConfig | GeoMAEConfig, dict[str, Tensor]]:
    """The configuration that official weights fit, on the published grid, and the weights under our names.

    Raises:
        UserError: weights of another network.
    """
    from mm3d.models import new_model

    state = checkpoint.get(WRAPPER, checkpoint)
    config = config_of(state, source)
    return config, from_official(state, new_model(config).state_dict(), source)


def is_hess(state: Mapping[str, Tensor]) -> bool:
    """Whether official names are those of Voxel-MAE of Hess et al."""
    return "bbox_head.conv_chamfer.weight" in state


def is_geomae(state: Mapping[str, Tensor]) -> bool:
    """Whether official names are those of GeoMAE."""
    return "backbone.decoder_pred_low.weight" in state


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our entries under the official names and in their shapes: the inverse of :func:`from_official`.

    Raises:
        UserError: an entry that the official model does not have, such as a head for curvature.
    """
    names = _GEOMAE if any(name.startswith("objectives.centroid") for name in state) else _HESS
    converted = {}
    for name, tensor in state.items():
        value = _turned(name, tensor)
        if name == "encoder.mask_token":
            value = value[None]
        elif "bbox_head" in _theirs(name, names) and name.endswith("weight"):
            value = value[..., None]
        converted[_theirs(name, names)] = value
    return converted


def from_official(
    state: Mapping[str, Tensor], ours: Mapping[str, Tensor], source: str = "checkpoint"
) -> dict[str, Tensor]:
    """Official entries under our names and in our shapes.

    Args:
        ours: the state dict of the model that they are for.

    Raises:
        UserError: entries that are missing, or that have no place.
    """
    names = _GEOMAE if is_geomae(state) else _HESS
    wanted = {_theirs(name, names): name for name in ours}
    missing, other = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or other:
        said = f"{missing[0]} is missing" if missing else f"{other[0]} has no place"
        raise UserError(f"{source}: {said}; expected the weights of {'GeoMAE' if names is _GEOMAE else 'Voxel-MAE'}")
    converted = {}
    for theirs, name in wanted.items():
        tensor = state[theirs]
        if name == "encoder.mask_token":
            tensor = tensor[0]
        elif tensor.ndim == 3:
            tensor = tensor.squeeze(2)
        converted[name] = _turned(name, tensor)
    return converted


def backbone_for_detectors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's weights as a detector on SSTv2 names them: ``voxel_encoder.vfe_layers.*`` and ``backbone.block_list.*``."""
    return {_theirs(name, _HESS): tensor for name, tensor in state.items() if name.startswith("encoder.backbone.")}


def config_of(state: Mapping[str, Tensor], source: str) -> HessVoxelMAEConfig | GeoMAEConfig:
    """The configuration that official weights fit; heads, windows, grid and sub-voxels, which no tensor shows, are the published.

    Raises:
        UserError: an entry that tells a size is missing.
    """
    published = GeoMAEConfig() if is_geomae(state) else HessVoxelMAEConfig()
    names = _GEOMAE if is_geomae(state) else _HESS
    decoder = next(theirs for name, theirs in names.items() if name.startswith("encoder.decoders."))
    try:
        point = state["voxel_encoder.vfe_layers.0.linear.weight"]
        dim = len(state["voxel_encoder.vfe_layers.1.linear.weight"])
        blocks = names["encoder.backbone.transformer"]
        hidden = len(state[f"{blocks}.0.encoder_list.0.linear1.weight"])
    except KeyError as error:
        raise UserError(f"{source}: entry {error} is missing; expected Voxel-MAE of Hess et al. or GeoMAE") from error
    depths = [
        len({name.split(".")[2] for name in state if name.startswith(f"{prefix}.")}) for prefix in (blocks, decoder)
    ]
    encoder = PillarEncoderConfig(
        published.encoder.grid, point.shape[1] - 6, len(point), dim, depths[0],
        published.encoder.heads, hidden, published.encoder.window,
    )  # fmt: skip
    if isinstance(published, GeoMAEConfig):
        return GeoMAEConfig(encoder, depths[1])
    return HessVoxelMAEConfig(encoder, depths[1], points=len(state["bbox_head.conv_chamfer.weight"]) // 3)


def _theirs(name: str, names: Mapping[str, str]) -> str:
    if m := re.fullmatch(r"encoder\.backbone\.(embed\.\w+)\.(\w+)", name):
        return f"voxel_encoder.vfe_layers.{_POINT[m[1]]}.{m[2]}"
    if m := re.fullmatch(r"(encoder\.[\w.]+?)\.layers\.(\d+)\.([\w.]+)", name):
        return f"{names[m[1]]}.{int(m[2]) // 2}.encoder_list.{int(m[2]) % 2}.{_LAYER[m[3]]}"
    if name in names:
        return names[name]
    holder, _, entry = name.rpartition(".")
    if holder not in names:
        raise UserError(f"{name}: the official model has no such entry")
    return f"{names[holder]}.{entry}"


def _turned(name: str, tensor: Tensor) -> Tensor:
    """Rows that give vectors, turned from (x, y, z) to (z, y, x) or back."""
    if not name.startswith(_VECTORS):
        return tensor
    return tensor.view(-1, 3, *tensor.shape[1:]).flip(1).reshape(tensor.shape)
