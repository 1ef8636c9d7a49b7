"""Sparse convolution as an implicit GEMM in Triton: gathered rows never reach memory."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from core.errors import UserError
from mm3d.ops.kernel_map import KernelMap

ROWS, PAIRS, WIDE = 64, 64, 64
"""Outputs a program, pairs a step of the weight's gradient, and the most channels of a tile."""
SPLITS = 8
"""Parts that the pairs of an offset are summed in before they are joined, so that sums do not depend on timing."""


def triton_conv(features: Tensor, weight: Tensor, found: KernelMap) -> Tensor:
    """What ``gather_conv`` gives, computed by Triton; differentiable once.

    Args:
        features: (N, C) on a GPU (anywhere with ``TRITON_INTERPRET=1``).
        weight: (K, C, D).

    Raises:
        UserError: triton is not installed.
    """
    _kernels()
    return _TritonConv.apply(features, weight, found)


class _TritonConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, found: KernelMap) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.found = found
        return _multiply(features, weight, found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, weight = ctx.saved_tensors
        to_features = to_weight = None
        if ctx.needs_input_grad[0]:
            to_features = _multiply(gradient, weight.transpose(1, 2), ctx.found.swapped)
        if ctx.needs_input_grad[1]:
            to_weight = _outer(features, gradient, ctx.found).to(weight.dtype)
        return to_features, to_weight, None


def _multiply(features: Tensor, weight: Tensor, found: KernelMap) -> Tensor:
    features, weight, table = features.contiguous(), weight.contiguous(), found.table
    (volume, inputs, outputs), count = weight.shape, found.output_count
    out = features.new_empty(count, outputs)
    if count == 0:
        return out
    wide_in, wide_out = _tile(inputs), _tile(outputs)
    grid = (-(-count // ROWS), -(-outputs // wide_out))
    _kernels()[0][grid](
        features, weight, table, out, count, volume, inputs, outputs, ROWS, wide_in, wide_out, _precision(features)
    )
    return out


def _outer(features: Tensor, gradient: Tensor, found: KernelMap) -> Tensor:
    features, gradient = features.contiguous(), gradient.contiguous()
    volume, inputs, outputs = len(found.counts), features.shape[1], gradient.shape[1]
    parts = torch.zeros(SPLITS, volume, inputs, outputs, dtype=torch.float32, device=features.device)
    if found.pairs:
        starts = torch.tensor([0, *found.counts], device=features.device).cumsum(0)
        wide_in, wide_out = _tile(inputs), _tile(outputs)
        grid = (volume * SPLITS, -(-inputs // wide_in), -(-outputs // wide_out))
        _kernels()[1][grid](
            features, gradient, torch.cat(found.inputs), torch.cat(found.outputs), starts, parts, volume, inputs, outputs,
            SPLITS, PAIRS, wide_in, wide_out, _precision(features),
        )  # fmt: skip
    total = parts.sum(0)
    if found.identity is not None:
        total[found.identity] = (features.t() @ gradient).float()
    return total


def _tile(channels: int) -> int:
    """A power of two of at least 16, which tensor cores need."""
    return min(max(16, 1 << (channels - 1).bit_length()), WIDE)


def _precision(features: Tensor) -> str:
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 and features.is_cuda else "ieee"


@cache
def _kernels() -> tuple[Any, Any]:
    try:
        from mm3d.ops.sparse_conv_kernels import gather_gemm, outer_product
    except ImportError as error:
        raise UserError(
            "sparse convolution in Triton: the package is not installed; pip install triton, or take the path torch"
        ) from error
    return gather_gemm, outer_product
