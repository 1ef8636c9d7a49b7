"""Sparse convolution against spconv, and its cost as a scene grows: python -m benchmarks.sparse_conv

spconv's CPU wheel is the peer where it is installed (``pip install spconv``), and without it dense torch at a size where
that is possible. Without a GPU its backward looks for a CUDA stream that is not there: the look-up is patched here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import all_threads, environment
from core.random import generator
from mm3d.ops.sparse_conv import from_spconv, strided_conv, submanifold_conv
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid

CHANNELS = 32
SIZES = (10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000)


def shells(count: int) -> tuple[Tensor, tuple[int, int, int]]:
    """About ``count`` voxels of a hollow sphere, as surfaces are: sorted indices (N, 4) and the grid's shape."""
    radius = (count / 15.7) ** 0.5
    points = torch.randn(8 * count, 3, generator=generator(count))
    cells = ((points / points.norm(dim=1, keepdim=True) + 1.1) * radius).long()
    cells = cells.unique(dim=0)
    return torch.cat([torch.zeros(len(cells), 1).long(), cells], 1), (int(2.2 * radius) + 2,) * 3


class Convolutions:
    """One submanifold convolution of 3 x 3 x 3 with the same voxels, features and weight, of ours and of spconv."""

    def __init__(self, count: int, channels: int, peer: bool) -> None:
        self.indices, self.shape = shells(count)
        self.features = torch.randn(len(self.indices), channels, generator=generator(1)).requires_grad_()
        weight = 0.1 * torch.randn(channels, 3, 3, 3, channels, generator=generator(2))
        self.weight = from_spconv(weight).requires_grad_()
        self.grid = VoxelGrid(self.indices, self.shape, 1)
        if peer:
            import spconv.pytorch as spconv

            self.spconv = spconv
            self.layer = spconv.SubMConv3d(channels, channels, 3, padding=1, bias=False, indice_key="a")
            self.layer.weight.data.copy_(weight)
            self.cached = self.layer(self._tensor())  # keeps its pairs

    def _tensor(self) -> Any:
        return self.spconv.SparseConvTensor(self.features, self.indices.int(), list(self.shape), 1)

    def ours(self, backward: bool, fresh: bool) -> Tensor:
        grid = VoxelGrid(self.indices, self.shape, 1, check=False) if fresh else self.grid
        return _stepped(submanifold_conv(SparseVoxels(self.features, grid), self.weight).features, backward)

    def theirs(self, backward: bool, fresh: bool) -> Tensor:
        given = self._tensor() if fresh else self.cached.replace_feature(self.features)
        return _stepped(self.layer(given).features, backward)


def _stepped(out: Tensor, backward: bool) -> Tensor:
    if backward:
        out.backward(torch.ones_like(out))
    return out


def cpu_ms(functions: list[Callable[[], object]], repeats: int) -> list[tuple[float, float]]:
    """Processor time of each, one after the other in turn: (minimum, median) in ms, which other processes change little."""
    times: list[list[float]] = [[] for _ in functions]
    for repeat in range(repeats + 2):
        for function, spent in zip(functions, times, strict=True):
            begin = time.process_time()
            function()
            if repeat >= 2:
                spent.append((time.process_time() - begin) * 1e3)
    return [(min(spent), statistics.median(spent)) for spent in times]


def patched_spconv() -> str | None:
    """spconv's version, with its look-up of CUDA streams answered; None where it is not installed."""
    try:
        import spconv
        import spconv.pytorch.cppcore
        import spconv.pytorch.ops
    except ImportError:
        return None
    if not torch.cuda.is_available():
        for module in (spconv.pytorch.ops, spconv.pytorch.cppcore):
            module.get_current_stream = lambda: 0
    return str(spconv.__version__)


def against_spconv(version: str, repeats: int) -> list[dict[str, Any]]:
    case = Convolutions(20_000, CHANNELS, peer=True)
    torch.testing.assert_close(case.ours(False, True), case.theirs(False, True), rtol=1e-4, atol=1e-4)
    rows = []
    for threads in sorted({1, all_threads()}):
        torch.set_num_threads(threads)
        for fresh in (False, True):
            for backward in (False, True):
                pair = [lambda f=f, b=backward, n=fresh: f(b, n) for f in (case.ours, case.theirs)]
                ours, theirs = cpu_ms(pair, repeats)  # type: ignore[arg-type]
                name = f"{'forward + backward' if backward else 'forward'}, maps {'made anew' if fresh else 'kept'}"
                row = {"name": name, "voxels": len(case.indices), "channels": CHANNELS, "threads": threads}
                row |= {"ours_cpu_ms": ours, "spconv_cpu_ms": theirs, "ratio": theirs[0] / ours[0], "peer": version}
                rows.append(row)
                print(
                    f"{name:<38} {threads} thr  ours {ours[0]:7.2f} / {ours[1]:7.2f}  spconv {version} {theirs[0]:7.2f} / "
                    f"{theirs[1]:7.2f}  ratio {row['ratio']:.2f}",
                    flush=True,
                )
    return rows


def strided_against_spconv(version: str, repeats: int) -> list[dict[str, Any]]:
    """A strided convolution to twice the channels, maps made anew: spconv does not keep those of strided ones."""
    import spconv.pytorch as spconv

    torch.set_num_threads(1)
    indices, shape = shells(20_000)
    features = torch.randn(len(indices), CHANNELS, generator=generator(1)).requires_grad_()
    kept = 0.1 * torch.randn(2 * CHANNELS, 3, 3, 3, CHANNELS, generator=generator(2))
    weight = from_spconv(kept).requires_grad_()
    layer = spconv.SparseConv3d(CHANNELS, 2 * CHANNELS, 3, stride=2, padding=1, bias=False)
    layer.weight.data.copy_(kept)

    def ours(backward: bool) -> Tensor:
        grid = VoxelGrid(indices, shape, 1, check=False)
        return _stepped(strided_conv(SparseVoxels(features, grid), weight, (2, 2, 2), (1, 1, 1)).features, backward)

    def theirs(backward: bool) -> Tensor:
        return _stepped(layer(spconv.SparseConvTensor(features, indices.int(), list(shape), 1)).features, backward)

    rows = []
    torch.testing.assert_close(ours(False).sum(0), theirs(False).sum(0), rtol=1e-3, atol=1e-2)  # in another order
    for backward in (False, True):
        mine, peer = cpu_ms([lambda b=backward: ours(b), lambda b=backward: theirs(b)], repeats)
        name = f"strided, {'forward + backward' if backward else 'forward'}, maps made anew"
        row = {"name": name, "voxels": len(indices), "channels": CHANNELS, "threads": 1, "peer": version}
        rows.append(row | {"ours_cpu_ms": mine, "spconv_cpu_ms": peer, "ratio": peer[0] / mine[0]})
        print(f"{name:<44} ours {mine[0]:7.2f}  spconv {peer[0]:7.2f}  ratio {peer[0] / mine[0]:.2f}", flush=True)
    return rows


def growth(largest: int) -> list[dict[str, Any]]:
    """Cost a voxel as the scene grows: linear where it stays the same. 16 channels, so that 2M voxels fit in memory."""
    torch.set_num_threads(1)
    rows = []
    for size in (size for size in SIZES if size <= largest):
        case = Convolutions(size, 16, peer=False)
        count = len(case.indices)
        repeats = 3 if size > 200_000 else 5
        maps, step = cpu_ms(
            [
                lambda case=case: VoxelGrid(case.indices, case.shape, 1, check=False).neighbours((3, 3, 3)),
                lambda case=case: case.ours(True, False),
            ],
            repeats,
        )
        row = {"voxels": count, "channels": 16, "map_cpu_ms": maps, "step_cpu_ms": step}
        row["voxels_per_second"] = count / (maps[0] + step[0]) * 1e3
        rows.append(row)
        print(
            f"{count:>9,} voxels  map {maps[0] / count * 1e6:6.0f} ns a voxel  forward + backward "
            f"{step[0] / count * 1e6:6.0f} ns a voxel  {row['voxels_per_second']:>10,.0f} voxels/s",
            flush=True,
        )
    return rows


def main() -> None:
    """The command line of this benchmark."""
    parser = argparse.ArgumentParser(description="submanifold convolution, 3 x 3 x 3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, machine and versions here")
    parser.add_argument("--repeats", type=int, default=15, help="timed runs of each side (default: %(default)s)")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="voxels of the largest scene")
    arguments = parser.parse_args()
    if arguments.repeats < 2:
        parser.error("--repeats must be at least 2: one time has no spread")
    print(f"submanifold convolution, 3 x 3 x 3; minimum / median ms of processor time; torch {torch.__version__}")
    version = patched_spconv()
    if version is None:
        print("spconv is not installed: no peer")
    rows = []
    if version is not None:
        rows = against_spconv(version, arguments.repeats) + strided_against_spconv(version, arguments.repeats)
    grown = growth(arguments.largest)
    if arguments.json:
        said = {"benchmark": "sparse_conv", **environment(), "rows": rows, "growth": grown}
        arguments.json.write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
