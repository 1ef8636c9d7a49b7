"""How the cost of a step grows with the size of its input: python -m benchmarks.growth

One thread, CPU time, the least of some repeats; sizes times 10 and 100. The exponent is the slope of log(time) over log(size)
between the smallest size and the largest, 1 for linear growth. Protein attention is quadratic in the length of a protein, so
residues grow with the number of proteins.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.sparse_conv import shells
from benchmarks.timing import write
from core.random import generator
from core.token_masks import TokenMask
from mm3d.ops import chamfer_l2, farthest_point_sample, gather, knn
from mm3d.ops.sparse_conv import submanifold_conv
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid
from mmbio.config import ESM2Config
from mmbio.models.esm2 import ESM2
from mmbio.proteins.alphabet import ESM, STANDARD
from mmbio.sequences import join
from mmgraph.config import GraphEncoderConfig, GraphMAEConfig
from mmgraph.graph import Graphs
from mmgraph.models.graphmae import GraphMAE

Step = Callable[[], object]


@dataclass(frozen=True)
class Growth:
    """A step for every size, and what the sizes count."""

    name: str
    unit: str
    sizes: tuple[int, ...]
    step: Callable[[int, torch.device], Step]


def patches(size: int, device: torch.device) -> Step:
    """Grouping of so many points into 64 patches of 32."""
    points = torch.randn(1, size, 3, generator=generator(0, size)).to(device)

    def step() -> object:
        centers = gather(points, farthest_point_sample(points, 64))
        return knn(centers, points, 32)

    return step


def chamfer(size: int, device: torch.device) -> Step:
    """Chamfer distance of so many points and its gradient."""
    draws = generator(0, size)
    a = torch.rand(1, size, 3, generator=draws).to(device).requires_grad_()
    b = torch.rand(1, size, 3, generator=draws).to(device)
    return lambda: torch.autograd.grad(chamfer_l2(a, b), a)


def graphs(size: int, device: torch.device) -> Step:
    """Loss of GraphMAE and its gradients on so many nodes with ten edges each."""
    draws = generator(0, size)
    ends = torch.randint(size, (2, 5 * size), generator=draws)
    batch = Graphs(torch.randn(size, 64, generator=draws), torch.cat([ends, ends.flip(0)], 1)).to(device)
    model = GraphMAE(GraphMAEConfig(64, GraphEncoderConfig(dim=64, heads=4))).to(device).train()
    mask = model.draw_mask(batch, draws)
    return lambda: torch.autograd.grad(model(batch, mask).loss, list(model.parameters()))


def residues(size: int, device: torch.device) -> Step:
    """Loss of a small ESM-2 and its gradients on proteins of 100 residues, so many residues together."""
    draws = generator(0, size)
    letters = torch.tensor([ESM.ids[letter] for letter in STANDARD])
    proteins = [ESM.wrap(letters[torch.randint(20, (98,), generator=draws)].tolist()) for _ in range(size // 100)]
    batch = join(proteins)
    model = ESM2(ESM2Config(depth=2, dim=64, heads=4)).to(device).train()
    mask: TokenMask = model.draw_mask(batch, [generator(0, i) for i in range(len(batch))])
    batch, mask = batch.to(device), mask.to(device)
    parameters = [p for p in model.parameters() if p.requires_grad]
    return lambda: torch.autograd.grad(model(batch, mask).loss, parameters, allow_unused=True)


def voxels(size: int, device: torch.device) -> Step:
    """Maps and one submanifold convolution of 16 channels with its gradients on about so many voxels of a hollow sphere."""
    indices, shape = shells(size)
    indices = indices.to(device)
    features = torch.randn(len(indices), 16, generator=generator(0, size)).to(device).requires_grad_()
    weight = torch.randn(3, 3, 3, 16, 16, generator=generator(0)).to(device).requires_grad_()

    def step() -> object:
        x = SparseVoxels(features, VoxelGrid(indices, shape, 1, check=False))
        return torch.autograd.grad(submanifold_conv(x, weight).features.sum(), (features, weight))

    return step


GROWTHS = (
    Growth("64 patches of 32 points", "points", (1024, 10_240, 102_400), patches),
    Growth("Chamfer distance and its gradient", "points", (1024, 10_240, 102_400), chamfer),
    Growth("GraphMAE, loss and gradients", "nodes", (1000, 10_000, 100_000), graphs),
    Growth("sparse convolution with maps and gradients", "voxels", (10_000, 100_000, 1_000_000), voxels),
    Growth("ESM-2 of 2 x 64, loss and gradients", "residues", (1000, 10_000, 100_000), residues),
)


def least(step: Step, repeats: int, device: torch.device) -> float:
    """Milliseconds: CPU time, or wall-clock time on a GPU."""
    times = []
    for _ in range(repeats + 1):
        if device.type == "cuda":
            torch.cuda.synchronize()
        begin = (time.perf_counter() if device.type == "cuda" else time.process_time())  # fmt: skip
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() if device.type == "cuda" else time.process_time()) - begin)
    return min(times[1:]) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description="How cost grows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, machine and versions here")
    parser.add_argument("--repeats", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    given = parser.parse_args()
    device = torch.device(given.device)
    torch.set_num_threads(1)
    rows = []
    for growth in GROWTHS:
        torch.manual_seed(0)
        taken = [least(growth.step(size, device), given.repeats, device) for size in growth.sizes]
        exponent = math.log(taken[-1] / taken[0]) / math.log(growth.sizes[-1] / growth.sizes[0])
        last = math.log(taken[-1] / taken[-2]) / math.log(growth.sizes[-1] / growth.sizes[-2])
        rows.append({"name": growth.name, "unit": growth.unit, "sizes": growth.sizes, "device": device.type})
        rows[-1] |= {"ms": taken, "exponent": exponent, "last_exponent": last}
        said = ", ".join(f"{size:,}: {value:,.1f} ms" for size, value in zip(growth.sizes, taken, strict=True))
        print(f"{growth.name:<40} {growth.unit:<9} {said}  exponent {exponent:.2f} ({last:.2f} at the end)", flush=True)
    if given.json:
        write(given.json, "How cost grows", device, rows)


if __name__ == "__main__":
    main()
