"""Sparse 3D convolution: submanifold, strided, transposed and inverse, over one operator on kernel maps."""

from __future__ import annotations

import os
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mm3d.ops.kernel_map import Block, Kernel, KernelMap, Triple
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid

Path = Literal["torch", "spconv", "triton"]
PATHS: tuple[Path, ...] = ("torch", "spconv", "triton")
VARIABLE = "MM_BEYOND_SPARSE_CONV"


def submanifold_conv(x: SparseVoxels, weight: Tensor, path: Path | None = None) -> SparseVoxels:
    """Convolution whose outputs are the voxels of the input, as ``conv3d`` with padding size // 2 gives them there.

    Args:
        x: features (N, C).
        weight: (kz, ky, kx, C, D), sizes odd.
        path: as :func:`gather_conv`.

    Source: Graham et al., "3D Semantic Segmentation with Submanifold Sparse Convolutional Networks", CVPR 2018.
    """
    found = x.grid.neighbours(_size(weight))
    return SparseVoxels(gather_conv(x.features, weight, found.map, path), found.grid)


def strided_conv(
    x: SparseVoxels, weight: Tensor, stride: Triple, padding: Triple = (0, 0, 0), path: Path | None = None
) -> SparseVoxels:
    """Convolution with outputs wherever a voxel is in the kernel's field, as ``conv3d`` without bias gives them there.

    Weight as :func:`submanifold_conv`, of any size.
    """
    found = x.grid.strided(Kernel(_size(weight), stride, padding))
    return SparseVoxels(gather_conv(x.features, weight, found.map, path), found.grid)


def transposed_conv(
    x: SparseVoxels,
    weight: Tensor,
    stride: Triple,
    padding: Triple = (0, 0, 0),
    output_padding: Triple = (0, 0, 0),
    path: Path | None = None,
) -> SparseVoxels:
    """Generative transposed convolution: outputs are all cells it reaches, with the values of ``conv_transpose3d``."""
    found = x.grid.transposed(Kernel(_size(weight), stride, padding, output_padding))
    return SparseVoxels(gather_conv(x.features, weight, found.map, path), found.grid)


def inverse_conv(
    x: SparseVoxels,
    weight: Tensor,
    to: VoxelGrid,
    stride: Triple,
    padding: Triple = (0, 0, 0),
    path: Path | None = None,
) -> SparseVoxels:
    """Back from the voxels that a strided convolution made to those it was made of: its transpose, at these only.

    Args:
        to: the grid that :func:`strided_conv` was called on with the same size, stride and padding.

    Raises:
        ValueError: that convolution does not lead from ``to`` to the grid of ``x``.
    """
    found = to.strided(Kernel(_size(weight), stride, padding))
    if found.grid is not x.grid:
        raise ValueError(
            "the strided convolution of this size, stride and padding on that grid did not make these voxels"
        )
    return SparseVoxels(gather_conv(x.features, weight, found.map.swapped, path), to)


def gather_conv(features: Tensor, weight: Tensor, found: KernelMap, path: Path | None = None) -> Tensor:
    """The sum over offsets of gathered rows times the offset's matrix: the one operator below all convolutions.

    Differentiable once, in features and weight. Under autocast both are cast to its type; half precision is summed in
    float32.

    Args:
        features: (N, C).
        weight: (kz, ky, kx, C, D), or (K, C, D).
        found: the pairs.
        path: "torch" (any device), "spconv" or "triton" (GPU; the package has to be installed). None takes what the
            environment variable ``MM_BEYOND_SPARSE_CONV`` names, and torch where it names nothing or features are on a
            CPU.

    Returns:
        (M, D).
    """
    flat = weight.flatten(0, -3)
    if len(flat) != len(found.counts) or len(features) != found.input_count or flat.shape[1] != features.shape[1]:
        raise ValueError(
            f"features {tuple(features.shape)} and weight {tuple(weight.shape)} do not fit a map of "
            f"{found.input_count} inputs and {len(found.counts)} offsets"
        )
    device = features.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        features, flat = features.to(dtype), flat.to(dtype)
    path = active_path(device) if path is None else path
    if path == "spconv":
        from mm3d.ops.sparse_conv_spconv import spconv_conv

        return spconv_conv(features, flat, found)
    if path == "triton":
        from mm3d.ops.sparse_conv_triton import triton_conv

        return triton_conv(features, flat, found)
    return _GatherConv.apply(features, flat, found)


def active_path(device: str) -> Path:
    """The path that is taken where none is named.

    Raises:
        ValueError: the environment variable names something else than a path.
    """
    named = os.environ.get(VARIABLE, "torch") if device != "cpu" else "torch"
    if named not in PATHS:
        raise ValueError(f"{VARIABLE}={named}: expected one of {', '.join(PATHS)}")
    return named


def from_spconv(weight: Tensor) -> Tensor:
    """spconv's layout (out, kz, ky, kx, in) -> ours (kz, ky, kx, in, out)."""
    return weight.permute(1, 2, 3, 4, 0).contiguous()


def to_spconv(weight: Tensor) -> Tensor:
    """The inverse of :func:`from_spconv`."""
    return weight.permute(4, 0, 1, 2, 3).contiguous()


def _size(weight: Tensor) -> Triple:
    if weight.ndim != 5:
        raise ValueError(f"a weight is (kz, ky, kx, in, out), got {tuple(weight.shape)}")
    return weight.shape[0], weight.shape[1], weight.shape[2]


class _GatherConv(torch.autograd.Function):
    """Gather and multiply one offset at a time, then sum by outputs, through buffers that stay in the cache."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, found: KernelMap) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.found = found
        return _multiply(features, weight, found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        if not ctx.needs_input_grad[0]:
            return None, _outer(features, gradient, ctx.found).to(weight.dtype), None
        if not ctx.needs_input_grad[1]:
            return _multiply(gradient, weight.transpose(1, 2), ctx.found.swapped), None, None
        return *_both(features, gradient, weight, ctx.found), None


def _multiply(features: Tensor, weight: Tensor, found: KernelMap) -> Tensor:
    out, (gathered, products) = _start(features, weight, found), _buffers(features, weight, found)
    matrices = weight.unbind()
    for block in found.blocks:
        for offset, rows, _, at in block.parts:
            part = torch.index_select(features, 0, rows, out=gathered[: len(rows)])
            _product(part, matrices[offset], products[at : at + len(rows)])
        _sum(block, products, out)
    return out.to(features.dtype)


def _outer(features: Tensor, gradient: Tensor, found: KernelMap) -> Tensor:
    """Gradient of the weight: for each offset, gathered inputs times gathered gradients of the outputs."""
    out = features.new_zeros(len(found.counts), features.shape[1], gradient.shape[1])
    if found.identity is not None:
        torch.mm(features.t(), gradient, out=out[found.identity])
    for offset, rows, to in found.pairs:
        torch.mm(features[rows].t(), gradient[to], out=out[offset])
    return out


def _both(features: Tensor, gradient: Tensor, weight: Tensor, found: KernelMap) -> tuple[Tensor, Tensor]:
    """Both gradients in one walk over the pairs, which gathers the outputs' gradient once."""
    turned, back = weight.transpose(1, 2), found.swapped
    to_features, (taken, products) = _start(gradient, turned, back), _buffers(gradient, turned, back)
    to_weight = torch.zeros_like(weight, dtype=to_features.dtype)
    given, matrices, gradients = features.new_empty(len(taken), features.shape[1]), turned.unbind(), to_weight.unbind()
    for block in back.blocks:
        for offset, to, rows, at in block.parts:
            b = torch.index_select(gradient, 0, to, out=taken[: len(rows)])
            a = torch.index_select(features, 0, rows, out=given[: len(rows)])
            _add_product(a.t(), b, gradients[offset])
            _product(b, matrices[offset], products[at : at + len(rows)])
        _sum(block, products, to_features)
    if found.identity is not None:
        _add_product(features.t(), gradient, gradients[found.identity])
    return to_features.to(features.dtype), to_weight.to(weight.dtype)


def _start(features: Tensor, weight: Tensor, found: KernelMap) -> Tensor:
    """The sums before the pairs, in at least float32: what the identity gives, or zeros."""
    sums = torch.promote_types(features.dtype, torch.float32)
    if found.identity is not None:
        return (features @ weight[found.identity]).to(sums)
    return features.new_zeros(found.output_count, weight.shape[2], dtype=sums)


def _buffers(features: Tensor, weight: Tensor, found: KernelMap) -> tuple[Tensor, Tensor]:
    """Room for the gathered rows of the longest part, and for the products of the fullest block."""
    longest = max((len(part.inputs) for block in found.blocks for part in block.parts), default=0)
    fullest = max((len(block.order) for block in found.blocks), default=0)
    sums = torch.promote_types(features.dtype, torch.float32)
    return features.new_empty(longest, features.shape[1]), features.new_empty(fullest, weight.shape[2], dtype=sums)


def _product(left: Tensor, right: Tensor, out: Tensor) -> None:
    if out.dtype == left.dtype:
        torch.mm(left, right, out=out)
    else:  # of half precision
        out.copy_(left @ right)


def _add_product(left: Tensor, right: Tensor, out: Tensor) -> None:
    if out.dtype == left.dtype:
        out.addmm_(left, right)
    else:
        out += left @ right


def _sum(block: Block, products: Tensor, out: Tensor) -> None:
    """Add to each output of a block the products that belong to it."""
    if len(block.order):
        out[block.begin : block.end] += F.embedding_bag(
            block.order, products[: len(block.order)], block.starts, mode="sum"
        )
