"""Compares a path of sparse convolution with the torch path, values and gradients: run with the path as the argument."""

from __future__ import annotations

import sys

import torch

from core.random import generator
from mm3d.ops.kernel_map import Kernel, unravel
from mm3d.ops.sparse_conv import gather_conv
from mm3d.ops.voxel_grid import VoxelGrid

SHAPE = (9, 20, 20)


def cases() -> list[tuple[str, int, int, int]]:
    """What kind of map, voxels, channels in and out: also none, one, and widths that fill no tile."""
    return [
        ("submanifold", 700, 5, 20), ("submanifold", 200, 16, 16), ("submanifold", 1, 3, 4), ("submanifold", 64, 80, 72),
        ("strided", 500, 7, 12), ("inverse", 500, 12, 7), ("transposed", 90, 4, 33), ("flat", 300, 8, 8),
        ("strided", 0, 4, 4), ("submanifold", 0, 4, 4),
    ]  # fmt: skip


def check(path: str) -> None:
    """AssertionError where value or gradients differ by more than 1e-4 of the largest entry."""
    for kind, count, inputs, outputs in cases():
        source = generator(kind, count)
        keys = torch.randperm(2 * SHAPE[0] * SHAPE[1] * SHAPE[2], generator=source)[:count].sort().values
        grid, kernel = VoxelGrid(unravel(keys, SHAPE), SHAPE, 2), Kernel((3, 3, 3), (2, 2, 2), (1, 1, 1))
        found = {
            "submanifold": lambda grid=grid: grid.neighbours((3, 3, 3)).map,
            "strided": lambda grid=grid, kernel=kernel: grid.strided(kernel).map,
            "inverse": lambda grid=grid, kernel=kernel: grid.strided(kernel).map.swapped,
            "transposed": lambda grid=grid, kernel=kernel: grid.transposed(kernel).map,
            "flat": lambda grid=grid: grid.strided(Kernel((3, 1, 1), (2, 1, 1))).map,
        }[kind]()
        features = torch.randn(found.input_count, inputs, generator=source).requires_grad_()
        weight = torch.randn(len(found.counts), inputs, outputs, generator=source).requires_grad_()
        gradient = torch.randn(found.output_count, outputs, generator=source)
        results = []
        for way in ("torch", path):
            out = gather_conv(features, weight, found, way)  # type: ignore[arg-type]
            results.append((out, *torch.autograd.grad(out, (features, weight), gradient)))
        for name, expected, given in zip(("out", "features", "weight"), *results, strict=True):
            assert given.shape == expected.shape, (kind, name)
            scale = float(expected.detach().abs().max()) if expected.numel() else 1.0
            error = float((given - expected).detach().abs().max()) / (scale or 1.0) if expected.numel() else 0.0
            assert error < 1e-4, f"{kind}, {count} voxels, {inputs} -> {outputs}: {name} differs by {error:.1e}"
    print(f"{path} agrees with torch in {len(cases())} cases")


if __name__ == "__main__":
    if sys.argv[1] == "spconv":  # without a GPU its backward asks for a stream that is not there
        import spconv.pytorch.cppcore
        import spconv.pytorch.ops

        for module in (spconv.pytorch.ops, spconv.pytorch.cppcore):
            module.get_current_stream = lambda: 0
    check(sys.argv[1])
