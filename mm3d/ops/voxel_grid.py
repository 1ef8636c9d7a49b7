"""Sparse tensors: where voxels are, and what they hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from mm3d.ops.kernel_map import (
    Kernel,
    KernelMap,
    Triple,
    ravel,
    strided_map,
    strided_shape,
    submanifold_map,
    transposed_map,
    transposed_shape,
)


class Reached(NamedTuple):
    """A kernel map and the grid of its outputs."""

    map: KernelMap
    grid: VoxelGrid


class VoxelGrid:
    """The occupied voxels of a batch of scenes. It keeps the kernel maps that were made of it, so that layers share them.

    Args:
        indices: (N, 4) int64: batch, z, y, x. Sorted in this order, all different; :func:`sparse_voxels` sorts.
        shape: cells (z, y, x) of a scene.
        batch_size: scenes B. A scene may have no voxel.
        check: see that indices are inside the grid and ascend, which a caller may know already.

    Raises:
        ValueError: indices of another shape or dtype, outside the grid, not sorted, or twice the same.
    """

    def __init__(self, indices: Tensor, shape: Triple, batch_size: int, check: bool = True) -> None:
        if indices.ndim != 2 or indices.shape[1] != 4 or indices.dtype != torch.int64:
            raise ValueError(f"indices are (N, 4) int64, got {tuple(indices.shape)} {indices.dtype}")
        self.indices = indices
        self.shape = shape
        self.batch_size = batch_size
        self._maps: dict[tuple[str, Kernel], Reached] = {}
        if check and len(indices):
            limit = torch.tensor([batch_size, *shape], device=indices.device)
            outside = ((indices < 0) | (indices >= limit)).any(dim=1)
            if bool(outside.any()):
                first = indices[outside][0].tolist()
                raise ValueError(f"voxel {first} is outside {batch_size} grids of {shape}")
            if not bool((self.keys[1:] > self.keys[:-1]).all()):
                raise ValueError("voxels are not sorted by (batch, z, y, x), or two have the same indices")

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def keys(self) -> Tensor:
        """(N,) int64 numbers of the cells."""
        return ravel(self.indices, self.shape)

    @cached_property
    def counts(self) -> Tensor:
        """Voxels of every scene, (B,) int64."""
        return torch.bincount(self.indices[:, 0], minlength=self.batch_size)

    def neighbours(self, size: Triple) -> Reached:
        """Map of a submanifold convolution, whose outputs are the same voxels.

        Raises:
            ValueError: an even size, which has no middle.
        """
        if not all(length % 2 for length in size):
            raise ValueError(f"a submanifold kernel is odd along every axis, got {size}")
        return self._kept(
            "submanifold", Kernel(size), lambda: Reached(submanifold_map(self.indices, self.shape, size), self)
        )

    def strided(self, kernel: Kernel) -> Reached:
        """Map of a strided convolution, and the coarser grid it makes."""
        return self._kept("strided", kernel, lambda: self._made(strided_map, strided_shape, kernel))

    def transposed(self, kernel: Kernel) -> Reached:
        """Map of a transposed convolution, and the finer grid it makes: every cell it reaches."""
        return self._kept("transposed", kernel, lambda: self._made(transposed_map, transposed_shape, kernel))

    def _kept(self, what: str, kernel: Kernel, make: Callable[[], Reached]) -> Reached:
        if (what, kernel) not in self._maps:
            self._maps[what, kernel] = make()
        return self._maps[what, kernel]

    def _made(
        self,
        make: Callable[[Tensor, Triple, Kernel], tuple[KernelMap, Tensor]],
        shape_of: Callable[[Triple, Kernel], Triple],
        kernel: Kernel,
    ) -> Reached:
        found, indices = make(self.indices, self.shape, kernel)
        return Reached(found, VoxelGrid(indices, shape_of(self.shape, kernel), self.batch_size, check=False))


class SparseVoxels:
    """A sparse tensor: features (N, C) of the voxels of a grid, in the same order.

    Raises:
        ValueError: another number of features than voxels.
    """

    def __init__(self, features: Tensor, grid: VoxelGrid) -> None:
        if features.ndim != 2 or len(features) != len(grid):
            raise ValueError(f"features {tuple(features.shape)} do not fit {len(grid)} voxels")
        self.features = features
        self.grid = grid

    def with_features(self, features: Tensor) -> SparseVoxels:
        """Other features at the same voxels."""
        return SparseVoxels(features, self.grid)

    def dense(self) -> Tensor:
        """(B, C, Z, Y, X), zero where there is no voxel."""
        batch, (depth, height, width) = self.grid.batch_size, self.grid.shape
        flat = self.features.new_zeros(batch * depth * height * width, self.features.shape[1])
        flat = flat.index_copy(0, self.grid.keys, self.features)
        return flat.view(batch, depth, height, width, -1).permute(0, 4, 1, 2, 3).contiguous()


def sparse_voxels(indices: Tensor, features: Tensor, shape: Triple, batch_size: int) -> tuple[SparseVoxels, Tensor]:
    """A sparse tensor of voxels in any order, which it sorts, and where each stands there: (N,) int64.

    Raises:
        ValueError: as :class:`VoxelGrid`; two voxels with the same indices.
    """
    order = ravel(indices, shape).argsort(stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    return SparseVoxels(features[order], VoxelGrid(indices[order], shape, batch_size)), place
