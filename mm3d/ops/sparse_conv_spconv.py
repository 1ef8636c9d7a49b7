"""Sparse convolution on our kernel maps through spconv's compiled gather-GEMM-scatter."""

from __future__ import annotations

import torch
from torch import Tensor

from core.errors import UserError
from mm3d.ops.kernel_map import KernelMap


def spconv_conv(features: Tensor, weight: Tensor, found: KernelMap) -> Tensor:
    """What ``gather_conv`` gives, computed by spconv with our pairs; it brings its own backward.

    Args:
        features: (N, C).
        weight: (K, C, D).

    Raises:
        UserError: spconv is not installed.
    """
    try:
        from spconv.core import ConvAlgo
        from spconv.pytorch.functional import indice_conv, indice_subm_conv
    except ImportError as error:
        raise UserError(
            "sparse convolution through spconv: the package is not installed; pip install spconv-cu126, or take the path "
            "torch"
        ) from error
    if not found.pairs:  # spconv takes no empty tensors
        from mm3d.ops.sparse_conv import gather_conv

        return gather_conv(features, weight, found, "torch")
    pairs, counts = indice_pairs(found)
    # (out, K, 1, 1, in): spconv reads offsets in the order of the kernel's flattened axes, whatever these are.
    filters = weight.permute(2, 0, 1)[:, :, None, None, :].contiguous()
    convolve = indice_conv if found.identity is None else indice_subm_conv
    return convolve(features, filters, pairs, counts, found.output_count, ConvAlgo.Native)


def indice_pairs(found: KernelMap) -> tuple[Tensor, Tensor]:
    """Our pairs as spconv keeps them: (2, K, longest) int32, -1 where there is none, and (K,) int32 counts.

    Of a submanifold map spconv reads the first half of the offsets and takes the others as their mirror images.
    """
    device, volume = found.device, len(found.counts)
    counts = torch.tensor(found.counts, dtype=torch.int32, device=device)
    longest = max(*found.counts, found.output_count if found.identity is not None else 1)
    pairs = torch.full((2, volume, longest), -1, dtype=torch.int32, device=device)
    for offset, rows, to in found.pairs:
        pairs[0, offset, : len(rows)] = rows.int()
        pairs[1, offset, : len(rows)] = to.int()
    return pairs, counts
