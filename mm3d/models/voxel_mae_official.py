"""Weights of the official Voxel-MAE and of OpenPCDet's VoxelBackBone8x as ours, and back.

Their sparse convolutions are (out, kz, ky, kx, in), ours (kz, ky, kx, in, out). Names of detectors have the prefix
``backbone_3d.``, and their checkpoints hold the state dict under ``model_state``.

Source: pcdet/models/backbones_3d/{spconv_backbone,voxel_mae}.py of OpenPCDet and of github.com/chaytonmin/Occupancy-MAE.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from core.errors import UserError
from mm3d.config.voxels import GridConfig, VoxelEncoderConfig, VoxelMAEConfig
from mm3d.ops.sparse_conv import from_spconv, to_spconv

PREFIX = "backbone_3d."
WRAPPER = "model_state"
"""The key under which checkpoints of OpenPCDet have the weights."""
EXPORTED = "backbone_3d.*, as OpenPCDet's VoxelBackBone8x"
_LAYERS = {"0": "conv", "1": "norm"}
_DECODER = "objectives.occupancy.head.layers."


def state_dict_of(checkpoint: dict[str, Any], source: str) -> dict[str, Tensor]:
    """The backbone's (and decoder's) entries of an official checkpoint, without wrapper and prefix.

    Raises:
        UserError: no VoxelBackBone8x in it.
    """
    state = checkpoint.get(WRAPPER, checkpoint)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{source}: no state dict found; expected tensors by name, or under 'model_state'")
    if any(name.startswith(PREFIX) for name in state):
        state = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
    if "conv_input.0.weight" not in state:
        raise UserError(f"{source}: not VoxelBackBone8x (no conv_input.0.weight among {len(state)} entries)")
    return state


def knows(checkpoint: dict[str, Any]) -> bool:
    """Whether an official file holds a VoxelBackBone8x."""
    return any(str(name).endswith("conv_input.0.weight") for name in checkpoint.get(WRAPPER, checkpoint))


def convert(checkpoint: dict[str, Any], source: str) -> tuple[VoxelMAEConfig, dict[str, Tensor]]:
    """The configuration that official weights fit, on KITTI's grid, which no tensor shows, and the weights under our names.

    Raises:
        UserError: not weights of Voxel-MAE.
    """
    state = state_dict_of(checkpoint, source)
    return config_of(state, GridConfig(), source), from_official(state, source)


def from_official(state: dict[str, Tensor], source: str = "checkpoint") -> dict[str, Tensor]:
    """Official entries under our names, and convolutions in our layout.

    Raises:
        UserError: an entry that is not one of Voxel-MAE.
    """
    converted = {}
    for name, tensor in state.items():
        found = _ours(name)
        if found is None:
            raise UserError(f"{source}: {name} is not an entry of Voxel-MAE")
        converted[found] = from_spconv(tensor) if tensor.ndim == 5 and name.startswith("conv") else tensor
    return converted


def to_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our entries under the official names: the inverse of :func:`from_official`."""
    converted = {}
    for name, tensor in state.items():
        official = _theirs(name)
        converted[official] = to_spconv(tensor) if tensor.ndim == 5 and official.startswith("conv") else tensor
    return converted


def backbone_for_detectors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's weights as a detector of OpenPCDet names them: ``backbone_3d.conv1.0.0.weight`` and so on."""
    encoder = {name: tensor for name, tensor in state.items() if name.startswith("encoder.")}
    return {f"{PREFIX}{name}": tensor for name, tensor in to_official(encoder).items()}


def _ours(name: str) -> str | None:
    if m := re.fullmatch(r"(conv_input|conv_out)\.([01])\.(\w+)", name):
        return f"encoder.{'stem' if m[1] == 'conv_input' else 'out'}.{_LAYERS[m[2]]}.{m[3]}"
    if m := re.fullmatch(r"conv([1-4])\.(\d)\.([01])\.(\w+)", name):
        return f"encoder.stages.{int(m[1]) - 1}.{m[2]}.{_LAYERS[m[3]]}.{m[4]}"
    if m := re.fullmatch(r"deconv([1-3])\.([01])\.(\w+)", name):  # ours count convolution, norm and ReLU through
        return f"{_DECODER}{3 * (int(m[1]) - 1) + int(m[2])}.{m[3]}"
    return None


def _theirs(name: str) -> str:
    layers = {ours: theirs for theirs, ours in _LAYERS.items()}
    if m := re.fullmatch(r"encoder\.(stem|out)\.(conv|norm)\.(\w+)", name):
        return f"{'conv_input' if m[1] == 'stem' else 'conv_out'}.{layers[m[2]]}.{m[3]}"
    if m := re.fullmatch(r"encoder\.stages\.(\d)\.(\d)\.(conv|norm)\.(\w+)", name):
        return f"conv{int(m[1]) + 1}.{m[2]}.{layers[m[3]]}.{m[4]}"
    number, entry = name.removeprefix(_DECODER).split(".")
    return f"deconv{int(number) // 3 + 1}.{int(number) % 3}.{entry}"


def config_of(state: dict[str, Tensor], grid: GridConfig, source: str) -> VoxelMAEConfig:
    """The configuration that official weights fit; the grid, which no tensor shows, is given.

    Raises:
        UserError: an entry that tells a size is missing.
    """
    try:
        channels = tuple(state[f"conv{stage}.0.0.weight"].shape[0] for stage in range(1, 5))
        first = state["conv_input.0.weight"]
        out = state["conv_out.0.weight"].shape[0]
        wide, narrow = (state[f"deconv{number}.0.weight"].shape[1] for number in (1, 2))
    except KeyError as error:
        raise UserError(f"{source}: entry {error} is missing; expected the weights of Voxel-MAE") from error
    encoder = VoxelEncoderConfig(grid, first.shape[-1], channels, out)  # type: ignore[arg-type]
    return VoxelMAEConfig(encoder, (wide, narrow))
