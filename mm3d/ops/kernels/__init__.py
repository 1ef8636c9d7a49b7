"""Kernels for GPUs in Triton, one file an operator, and when they serve.

Triton is optional: it comes with the CUDA builds of torch. Each module here imports it at the top and is itself imported
only when `serves` says so; where it does not, the operators run in plain torch with the same results. Setting the environment
variable MM3D_PLAIN=1 switches all kernels off.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

SWITCH = "MM3D_PLAIN"
NO_GPU = "torch sees no GPU"
OLDEST = (8, 0)  # compute capability: what the kernels were compiled and looked at for


def why_plain() -> str | None:
    """Why a GPU tensor would take the plain path on this machine; None where the kernels are used."""
    if os.environ.get(SWITCH, "") not in ("", "0"):
        return f"{SWITCH} is set"
    return _unfit() or (None if _triton() else "triton is not installed")


def serves(*tensors: Tensor) -> bool:
    """Whether the kernels can take these tensors: float32 on a GPU, in three dimensions."""
    fit = all(t.is_cuda and t.dtype == torch.float32 and t.shape[-1] == 3 for t in tensors)
    return fit and why_plain() is None


@cache
def _triton() -> bool:
    return find_spec("triton") is not None


@cache
def _unfit() -> str | None:
    if not torch.cuda.is_available():
        return NO_GPU
    if torch.version.hip is not None:
        return "not tried on this kind of GPU"
    if torch.cuda.get_device_capability() < OLDEST:
        return "the GPU is older than sm_80"
    return None
