"""Sparse 3D convolution against spconv: python -m benchmarks.sparse_conv

On a CPU spconv's wheel has no backward pass until its look-up of CUDA streams is answered, which is done here. On a GPU the plain
path and the Triton path are timed, in float32 (with TF32 on both sides) and in float16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import Case, installed, run
from core.random import generator
from mm3d.ops.sparse_conv import Path, from_spconv, strided_conv, submanifold_conv
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid

CHANNELS = 32


def shells(count: int) -> tuple[Tensor, tuple[int, int, int]]:
    """About ``count`` voxels of a hollow sphere, as surfaces are: sorted indices (N, 4) and the grid's shape."""
    radius = (count / 15.7) ** 0.5
    points = torch.randn(8 * count, 3, generator=generator(count))
    cells = ((points / points.norm(dim=1, keepdim=True) + 1.1) * radius).long()
    cells = cells.unique(dim=0)
    return torch.cat([torch.zeros(len(cells), 1).long(), cells], 1), (int(2.2 * radius) + 2,) * 3


def patched_spconv() -> str | None:
    """Name and version of the peer, its look-up of CUDA streams answered where there is no GPU; None where it is missing."""
    try:
        import spconv
        import spconv.pytorch.cppcore
        import spconv.pytorch.ops
    except ImportError:
        return None
    if not torch.cuda.is_available():
        for module in (spconv.pytorch.ops, spconv.pytorch.cppcore):
            module.get_current_stream = lambda: 0
    return installed("spconv") or f"spconv {spconv.__version__}"


class Convolutions:
    """One convolution of 3 x 3 x 3 on the same voxels with the same weight, of ours and of spconv."""

    def __init__(self, count: int, strided: bool, device: torch.device, dtype: torch.dtype, path: Path) -> None:
        indices, self.shape = shells(count)
        self.indices, self.strided, self.path = indices.to(device), strided, path
        out = 2 * CHANNELS if strided else CHANNELS
        features = torch.randn(len(indices), CHANNELS, generator=generator(1)).to(device, dtype)
        self.features = features.requires_grad_()
        self.theirs_weight = (0.1 * torch.randn(out, 3, 3, 3, CHANNELS, generator=generator(2))).to(device, dtype)
        self.weight = from_spconv(self.theirs_weight).requires_grad_()
        self.grid = VoxelGrid(self.indices, self.shape, 1)

    def ours(self, backward: bool, fresh: bool) -> Tensor:
        grid = VoxelGrid(self.indices, self.shape, 1, check=False) if fresh else self.grid
        x = SparseVoxels(self.features, grid)
        if self.strided:
            return stepped(strided_conv(x, self.weight, (2, 2, 2), (1, 1, 1), self.path).features, backward)
        return stepped(submanifold_conv(x, self.weight, self.path).features, backward)

    def peer(self) -> Callable[[bool, bool], Tensor]:
        """The same by spconv; it keeps the pairs of submanifold convolutions only."""
        import spconv.pytorch as spconv

        kind: Any = spconv.SparseConv3d if self.strided else spconv.SubMConv3d
        out = len(self.theirs_weight)
        more = {"stride": 2} if self.strided else {"indice_key": "a"}
        layer = kind(CHANNELS, out, 3, padding=1, bias=False, **more)
        layer = layer.to(self.indices.device, self.features.dtype)
        layer.weight.data.copy_(self.theirs_weight)

        def tensor() -> Any:
            return spconv.SparseConvTensor(self.features, self.indices.int(), list(self.shape), 1)

        kept = layer(tensor())

        def call(backward: bool, fresh: bool) -> Tensor:
            given = tensor() if fresh or self.strided else kept.replace_feature(self.features)
            return stepped(layer(given).features, backward)

        return call


def stepped(out: Tensor, backward: bool) -> Tensor:
    if backward:
        out.backward(torch.ones_like(out))
    return out


def cases(device: torch.device) -> list[Case]:
    name = patched_spconv()
    if name is None:
        print("spconv is not installed: no peer")
    if device.type == "cpu":
        return [case for strided in (False, True) for case in of(name, 20_000, strided, device, torch.float32, "torch")]
    torch.backends.cuda.matmul.allow_tf32 = True
    if name is not None:
        from spconv import constants

        constants.SPCONV_ALLOW_TF32 = True
    paths: tuple[Path, ...] = ("torch", "triton") if installed("triton") else ("torch",)
    settings = [(strided, dtype) for strided in (False, True) for dtype in (torch.float32, torch.float16)]
    return [
        case
        for strided, dtype in settings
        for path in paths
        for case in of(name, 100_000, strided, device, dtype, path)
    ]


def of(peer: str | None, count: int, strided: bool, device: torch.device, dtype: torch.dtype, path: Path) -> list[Case]:
    """Forward, and forward and backward, with maps kept and made anew."""
    both = Convolutions(count, strided, device, dtype, path)
    theirs = None if peer is None else both.peer()
    threads = torch.get_num_threads()
    if theirs is not None:  # a strided one has its outputs in another order
        torch.set_num_threads(1)  # with more, spconv's CPU path adds up in a race: every call gives something else
        pair = [call(False, True).detach().float().sum(0) for call in (both.ours, theirs)]
        torch.testing.assert_close(
            *pair, rtol=1e-2 if dtype == torch.float16 else 1e-3, atol=2.0 if dtype == torch.float16 else 0.1
        )
        torch.set_num_threads(threads)
    what = f"{'strided, 32 to 64' if strided else 'submanifold, 32'} channels, {len(both.indices):,} voxels"
    where = "" if device.type == "cpu" else f", {str(dtype).removeprefix('torch.')}, {path} path"
    goal = 1.3 if device.type == "cuda" and dtype == torch.float32 else 1.0
    found = []
    for fresh in (True,) if strided else (False, True):
        for backward in (False, True):
            peers: Mapping[str, Callable[[], object]] = {}
            if theirs is not None and peer is not None:
                peers = {peer: lambda b=backward, f=fresh: theirs(b, f)}  # type: ignore[misc]
            step = "fwd + bwd" if backward else "fwd"
            maps = "made anew" if fresh else "kept"
            ours = lambda b=backward, f=fresh: both.ours(b, f)  # noqa: E731
            name = f"{what}{where}, {step}, maps {maps}"
            found.append(Case(name, ours, peers, goal if backward else None, one_thread=True))
    return found


if __name__ == "__main__":
    run("Sparse convolution, 3 x 3 x 3", cases)
