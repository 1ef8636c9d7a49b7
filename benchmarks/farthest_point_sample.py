"""Farthest point sampling against the usual torch loop and against packages: python -m benchmarks.farthest_point_sample

fpsample (its exact ``fps_sampling``, and ``bucket_fps_kdline_sampling``, which starts where it likes), torch-quickfps and
torch-fps are timed where they are installed. torch-fps compiles C++ on its first call on CPU, so it is asked on a GPU only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Case, installed, run
from mm3d.ops import farthest_point_sample


def naive(points: Tensor, count: int) -> Tensor:
    """The usual loop: gather the centroid, all distances, boolean-index assignment, maximum."""
    batch, size, _ = points.shape
    clouds = torch.arange(batch, device=points.device)
    picks = torch.zeros(batch, count, dtype=torch.long, device=points.device)
    nearest = torch.full((batch, size), 1e10, dtype=points.dtype, device=points.device)
    farthest = torch.zeros(batch, dtype=torch.long, device=points.device)
    for i in range(count):
        picks[:, i] = farthest
        centroid = points[clouds, farthest][:, None]
        distance = torch.sum((points - centroid) ** 2, -1)
        mask = distance < nearest
        nearest[mask] = distance[mask]
        farthest = torch.max(nearest, -1)[1]
    return picks


def packages(points: Tensor, count: int) -> dict[str, Callable[[], object]]:
    """Peers that are installed; those that promise the same picks are held to it."""
    found: dict[str, Callable[[], object]] = {}
    expected = farthest_point_sample(points, count)
    if points.device.type == "cpu" and (name := installed("fpsample")):
        import fpsample

        clouds = list(points.numpy())
        found[name] = lambda: np.stack([fpsample.fps_sampling(c, count, start_idx=0) for c in clouds])
        same = (np.asarray(found[name]()).astype(np.int64) == expected.numpy()).all(1).mean()
        assert same > 0.9, name  # it adds in another order, so that near ties fall otherwise in a cloud now and then
        # Not the same picks, so not compared: it starts at a point of its own choice.
        height = 3 if points.shape[1] <= 2048 else 5
        found[f"{name} kd line"] = lambda: [
            fpsample.bucket_fps_kdline_sampling(c, count, h=height, start_idx=0) for c in clouds
        ]
    if name := installed("torch-quickfps"):
        import torch_quickfps

        found[name] = lambda: torch_quickfps.sample_idx(points, count, start_idx=0)
        assert torch.equal(found[name]().long(), expected), name  # type: ignore[attr-defined]
    if points.device.type == "cuda" and (name := installed("torch-fps")):
        import torch_fps

        valid = torch.ones(points.shape[:2], dtype=torch.bool, device=points.device)
        first = torch.zeros(len(points), dtype=torch.long, device=points.device)
        found[name] = lambda: torch_fps.farthest_point_sampling(points, valid, count, start_idx=first, validate=False)
        assert torch.equal(found[name](), expected), name  # type: ignore[arg-type]
    return found


def case(batch: int, size: int, count: int, device: torch.device) -> Case:
    points = torch.randn(batch, size, 3, generator=torch.Generator().manual_seed(0)).to(device)
    if not torch.equal(farthest_point_sample(points, count), naive(points, count)):
        raise AssertionError("the picks differ")
    peers = packages(points, count)
    plain = {"naive torch loop": lambda: naive(points, count)}
    goal = 5.0
    if device.type == "cuda":
        goal = 1.5 if any(name.startswith("torch-fps") for name in peers) else 40.0
        peers = dict(sorted({**plain, **peers}.items(), key=lambda item: not item[0].startswith("torch-fps")))
    else:
        peers = {**plain, **peers}
    return Case(f"{batch} clouds, {size} points -> {count}", lambda: farthest_point_sample(points, count), peers, goal)


def cases(device: torch.device) -> list[Case]:
    return [case(*shape, device) for shape in ((32, 1024, 64), (128, 1024, 64), (8, 8192, 512))]


if __name__ == "__main__":
    run("Farthest point sampling", cases)
