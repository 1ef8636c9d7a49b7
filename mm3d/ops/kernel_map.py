"""Which voxels a sparse convolution brings together: pairs of input and output rows for each offset of the kernel."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Triple = tuple[int, int, int]
BLOCK_CPU, BLOCK_GPU = 8192, 262_144  # outputs of a block


class Kernel(NamedTuple):
    """Geometry of a 3D convolution, each in the order (z, y, x)."""

    size: Triple
    stride: Triple = (1, 1, 1)
    padding: Triple = (0, 0, 0)
    output_padding: Triple = (0, 0, 0)

    @property
    def volume(self) -> int:
        """Offsets of the kernel; offset k is (kz * size_y + ky) * size_x + kx."""
        return self.size[0] * self.size[1] * self.size[2]


class Part(NamedTuple):
    """Pairs of one offset whose outputs are in one block; their products stand from ``at`` on among the block's."""

    offset: int
    inputs: Tensor
    outputs: Tensor
    at: int


class Block(NamedTuple):
    """Outputs ``begin`` to ``end`` and their pairs; ``order``, cut at ``starts``, lists the products of each output."""

    begin: int
    end: int
    parts: list[Part]
    order: Tensor
    starts: Tensor


@dataclass(frozen=True, eq=False)
class KernelMap:
    """Pairs of rows: for offset k, ``output[outputs[p]] += input[inputs[p]] @ weight[k]`` over its pairs p.

    ``inputs`` and ``outputs`` hold int64 rows for each of the K offsets. No two pairs of an offset share an input or an
    output, and both ascend. ``identity`` is the offset that pairs every row with itself, which has no pairs listed; None
    where there is none.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    input_count: int
    output_count: int
    identity: int | None = None

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Pairs of each offset."""
        return tuple(len(rows) for rows in self.inputs)

    @property
    def device(self) -> torch.device:
        return self.inputs[0].device

    @cached_property
    def pairs(self) -> list[tuple[int, Tensor, Tensor]]:
        """(offset, input rows, output rows) of every offset that has pairs; the identity is not among them."""
        found = zip(self.inputs, self.outputs, strict=True)
        return [(k, rows, to) for k, (rows, to) in enumerate(found) if len(rows)]

    @cached_property
    def blocks(self) -> list[Block]:
        """The pairs by runs of outputs, whose products fit a cache and are summed output by output, not scattered."""
        device, size = self.device, BLOCK_CPU if self.device.type == "cpu" else BLOCK_GPU
        begins = list(range(0, self.output_count, size))
        edges = torch.tensor([*begins, self.output_count], device=device)
        cuts = [torch.searchsorted(to, edges) for _, _, to in self.pairs]
        pairs = list(zip(self.pairs, torch.stack(cuts).tolist() if cuts else [], strict=True))  # one wait for a GPU
        found = []
        for number, begin in enumerate(begins):
            parts, at, end = [], 0, min(begin + size, self.output_count)
            for (k, rows, to), bounds in pairs:
                here = slice(bounds[number], bounds[number + 1])
                if here.start < here.stop:
                    parts.append(Part(k, rows[here], to[here], at))
                    at += here.stop - here.start
            outputs = torch.cat([part.outputs for part in parts]) - begin if parts else edges[:0]
            counts = torch.bincount(outputs, minlength=end - begin)
            found.append(Block(begin, end, parts, stable_order(outputs), counts.cumsum(0) - counts))
        return found

    @cached_property
    def swapped(self) -> KernelMap:
        """The map of the inverse convolution: inputs and outputs exchanged, each pair with the same weight.

        Of a submanifold map it is the map itself with mirrored offsets, so that its blocks need not be made again.
        """
        back = KernelMap(self.outputs, self.inputs, self.output_count, self.input_count, self.identity)
        if self.identity is not None:
            last = len(self.counts) - 1
            back.__dict__["blocks"] = [
                block._replace(parts=[part._replace(offset=last - part.offset) for part in block.parts])
                for block in self.blocks
            ]
        return back

    @cached_property
    def table(self) -> Tensor:
        """Input row of each output and offset, -1 for none: (M, K) int32."""
        table = torch.full((self.output_count, len(self.counts)), -1, dtype=torch.int32, device=self.device)
        for k, rows, to in self.pairs:
            table[to, k] = rows.int()
        if self.identity is not None:
            table[:, self.identity] = torch.arange(self.output_count, dtype=torch.int32, device=table.device)
        return table


def ravel(indices: Tensor, shape: Sequence[int]) -> Tensor:
    """(N, 4) indices (batch, z, y, x) in a grid (z, y, x) -> (N,) int64 keys that order as the indices do."""
    keys = indices[:, 0]
    for axis, length in enumerate(shape, start=1):
        keys = keys * length + indices[:, axis]
    return keys


def unravel(keys: Tensor, shape: Sequence[int]) -> Tensor:
    """The inverse of :func:`ravel`: (N,) -> (N, 4)."""
    columns = []
    for length in reversed(shape):
        columns.append(keys % length)
        keys = keys.div(length, rounding_mode="floor")
    return torch.stack([keys, *reversed(columns)], dim=1)


def submanifold_map(indices: Tensor, shape: Triple, size: Triple) -> KernelMap:
    """Neighbours among the voxels themselves: the output has the voxels of the input.

    Half of the offsets are looked up, the others are their mirror images. The voxels of a row of the kernel along x
    stand next to each other among sorted keys, so that there is one search a row, not one an offset.

    Args:
        indices: (N, 4) int64, sorted, all different.
        shape: of the grid.
        size: of the kernel, odd.

    Source: the rulebook of Graham et al., "3D Semantic Segmentation with Submanifold Sparse Convolutional Networks".
    """
    depth, height, width = (length // 2 for length in size)
    padded = [length + length_k // 2 for length, length_k in zip(shape, size, strict=True)]  # no neighbour wraps around
    keys = ravel(indices, padded)
    count, last = len(keys), max(len(keys) - 1, 0)
    rows: list[Tensor] = []
    outs: list[Tensor] = []
    for dz, dy in itertools.product(range(-depth, 1), range(-height, height + 1)):
        if (dz, dy) > (0, 0):
            break
        wanted = keys + ((dz * padded[1] + dy) * padded[2] - width)
        place = search(keys, wanted)
        for _ in range(width if (dz, dy) == (0, 0) else 2 * width + 1):
            hit = (keys[place.clamp(max=last)] == wanted) if count else place.bool()
            to = hit.nonzero().squeeze(1)
            rows.append(place[to])
            outs.append(to)
            place, wanted = place + hit, wanted + 1
    none = (keys.new_empty(0),)
    inputs, outputs = (*rows, *none, *reversed(outs)), (*outs, *none, *reversed(rows))
    return KernelMap(inputs, outputs, count, count, identity=len(rows))


def stable_order(numbers: Tensor) -> Tensor:
    """The stable order of numbers below 65,536 on a CPU, which numpy's radix sort finds, and of any on a GPU."""
    if numbers.device.type == "cpu":
        return torch.from_numpy(np.argsort(numbers.numpy().astype(np.uint16), kind="stable"))
    return numbers.argsort(stable=True)


def search(keys: Tensor, wanted: Tensor) -> Tensor:
    """Where each wanted key would stand among sorted keys; numpy's search is the faster one where both are sorted."""
    if keys.device.type == "cpu":
        return torch.from_numpy(np.searchsorted(keys.numpy(), wanted.numpy()))
    return torch.searchsorted(keys, wanted)


def strided_shape(shape: Triple, kernel: Kernel) -> Triple:
    """Grid that a strided convolution makes of a grid: floor((length + 2 padding - size) / stride) + 1.

    Raises:
        ValueError: the padded grid is smaller than the kernel.
    """
    sizes = zip(shape, kernel.size, kernel.stride, kernel.padding, strict=True)
    out = tuple((length + 2 * pad - size) // stride + 1 for length, size, stride, pad in sizes)
    if min(out) < 1:
        raise ValueError(f"a kernel of {kernel.size} with padding {kernel.padding} does not fit a grid of {shape}")
    return out  # type: ignore[return-value]


def transposed_shape(shape: Triple, kernel: Kernel) -> Triple:
    """Grid of a transposed convolution: (length - 1) * stride - 2 padding + size + output padding."""
    sizes = zip(shape, kernel.size, kernel.stride, kernel.padding, kernel.output_padding, strict=True)
    out = tuple((length - 1) * stride - 2 * pad + size + more for length, size, stride, pad, more in sizes)
    if min(out) < 1:
        raise ValueError(
            f"a transposed kernel of {kernel.size} with padding {kernel.padding} leaves nothing of {shape}"
        )
    return out  # type: ignore[return-value]


def strided_map(indices: Tensor, shape: Triple, kernel: Kernel) -> tuple[KernelMap, Tensor]:
    """Every output that an input reaches: the map, and the outputs' indices (M, 4), sorted.

    Source: Graham, "Sparse 3D convolutional neural networks": an output is there where its field holds a voxel.
    """

    def reach(places: Tensor, axis: int, offset: int) -> tuple[Tensor, Tensor]:
        moved = places + (kernel.padding[axis] - offset)
        out = moved.div(kernel.stride[axis], rounding_mode="floor")
        return out, (moved >= 0) & (out < grid[axis]) & (out * kernel.stride[axis] == moved)

    grid = strided_shape(shape, kernel)
    return _joined(indices, grid, kernel, reach)


def transposed_map(indices: Tensor, shape: Triple, kernel: Kernel) -> tuple[KernelMap, Tensor]:
    """Every voxel that a transposed convolution writes to: the map, and the outputs' indices (M, 4), sorted."""

    def reach(places: Tensor, axis: int, offset: int) -> tuple[Tensor, Tensor]:
        out = places * kernel.stride[axis] + (offset - kernel.padding[axis])
        return out, (out >= 0) & (out < grid[axis])

    grid = transposed_shape(shape, kernel)
    return _joined(indices, grid, kernel, reach)


def _joined(indices: Tensor, grid: Triple, kernel: Kernel, reach: object) -> tuple[KernelMap, Tensor]:
    """Pairs of all offsets, given where an offset along an axis takes a coordinate and whether that is in the grid."""
    assert callable(reach)
    axes = [[reach(indices[:, axis + 1], axis, k) for k in range(size)] for axis, size in enumerate(kernel.size)]
    rows, keys = [], []
    for z, in_z in axes[0]:
        at_z = in_z.nonzero().squeeze(1)
        for y, in_y in axes[1]:
            at_y = at_z[in_y[at_z]]
            base = ((indices[at_y, 0] * grid[0] + z[at_y]) * grid[1] + y[at_y]) * grid[2]
            for x, in_x in axes[2]:
                here = in_x[at_y]
                rows.append(at_y[here])
                keys.append(base[here] + x[rows[-1]])
    found, outputs = torch.unique(torch.cat(keys), sorted=True, return_inverse=True)
    counts = [len(row) for row in rows]
    return KernelMap(tuple(rows), outputs.split(counts), len(indices), len(found)), unravel(found, grid)
