"""The Triton kernels against the operators on CPU: run by test_kernels.py in the interpreter, or by hand on a GPU.

pytest tests/mm3d/ops/kernels_on_device.py
"""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor

from mm3d.ops import (
    ball_query,
    chamfer_l1,
    earth_mover_distance,
    farthest_point_sample,
    kernels,
    knn,
    nearest_distances,
)

pytest.importorskip("triton")
from mm3d.ops.kernels import ball_query as within_kernel
from mm3d.ops.kernels import chamfer as chamfer_kernel
from mm3d.ops.kernels import earth_mover as auction
from mm3d.ops.kernels import farthest_point_sample as sample_kernel
from mm3d.ops.kernels import knn as nearest_kernel

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
# The interpreter takes milliseconds for what a GPU does in nanoseconds.
SIZES = (1, 5, 100, 300) if INTERPRETED else (1, 5, 64, 100, 700, 1024, 2000, 8192, 16384)
QUERIES, NEIGHBORS = (2, (1, 20)) if INTERPRETED else (6, (1, 3, 33, 256))
KINDS = ("random", "grid", "origin")


def cloud(batch: int, size: int, kind: str, seed: int = 0) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    if kind == "grid":  # exact ties and duplicates
        return torch.randint(-2, 3, (batch, size, 3), generator=draws).float()
    points = torch.randn(batch, size, 3, generator=draws)
    if kind == "origin":  # half of the points within the skipped radius
        return points * torch.where(torch.rand(batch, size, 1, generator=draws) < 0.5, 0.01, 0.2)
    return points


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_farthest_points_are_those_of_the_cpu(size: int, kind: str) -> None:
    points = cloud(3, size, kind)
    start = torch.randint(size, (3,), generator=torch.Generator().manual_seed(1))
    for skip in (False, True):
        count = min(size, 24)
        picks = sample_kernel.sample(points.to(DEVICE), count, start.to(DEVICE), skip)
        assert torch.equal(picks.cpu(), farthest_point_sample(points, count, start, skip))


def test_the_threshold_near_the_origin() -> None:
    # |p|^2 of the second is the float32 next to 1e-3, which is larger; that of the third the one before, which is not.
    points = torch.tensor([[[1, 0, 0], [0.002, 0.031559467, 0], [0.0010006, 0, 0.031606942], [0.9, 0, 0]]])
    squared = points.square().sum(-1)[0].double()
    assert float(squared[1]) > 1e-3 > float(squared[2]) > 0.0009999
    picks = sample_kernel.sample(points.to(DEVICE), 3, torch.zeros(1, dtype=torch.long, device=DEVICE), True)
    assert picks.tolist() == farthest_point_sample(points, 3, skip_near_origin=True).tolist() == [[0, 1, 3]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_neighbours_are_those_of_a_stable_sort(size: int, kind: str) -> None:
    points, queries = cloud(2, size, kind), cloud(2, QUERIES, kind, seed=2)
    squares = (queries[:, :, None] - points[:, None]).square()
    squared = (squares[..., 0] + squares[..., 1]) + squares[..., 2]
    expected, order = squared.sort(dim=-1, stable=True)
    for k in {min(k, size) for k in NEIGHBORS}:
        distances, index = nearest_kernel.nearest(queries.to(DEVICE), points.to(DEVICE), k)
        assert torch.equal(index.cpu(), order[..., :k])
        assert torch.equal(distances.cpu(), expected[..., :k])
        torch.testing.assert_close(distances.cpu(), knn(queries, points, k)[0], rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 700])
def test_points_within_a_radius_are_those_of_the_cpu(size: int, kind: str) -> None:
    points, queries = cloud(2, size, kind), cloud(2, QUERIES, kind, seed=2)
    for radius in (0.05, 1.0, 2.0, 50.0):
        for k in (1, 40):
            limit = torch.tensor(radius).square().to(DEVICE)
            found = within_kernel.within(queries.to(DEVICE), points.to(DEVICE), limit, k)
            assert torch.equal(found.cpu(), ball_query(queries, points, radius, k))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (32, 32), (20, 70), (130, 33)])
def test_nearest_distances_and_their_gradient(sizes: tuple[int, int], kind: str) -> None:
    a, b = cloud(3, sizes[0], kind).requires_grad_(), cloud(3, sizes[1], kind, seed=2).requires_grad_()
    draws = torch.Generator().manual_seed(3)
    g_ab, g_ba = torch.randn(3, sizes[0], generator=draws), torch.randn(3, sizes[1], generator=draws)
    d_ab, d_ba = nearest_distances(a, b)
    expected = torch.autograd.grad((d_ab * g_ab).sum() + (d_ba * g_ba).sum(), (a, b))
    on_a, on_b, g_ab, g_ba = (t.detach().to(DEVICE) for t in (a, b, g_ab, g_ba))
    found_ab, to_b, found_ba, to_a = chamfer_kernel.nearest(on_a, on_b)
    torch.testing.assert_close(found_ab.cpu(), d_ab.detach())
    torch.testing.assert_close(found_ba.cpu(), d_ba.detach())
    squares = (a.detach()[:, :, None] - b.detach()[:, None]).square()
    squared = (squares[..., 0] + squares[..., 1]) + squares[..., 2]
    first = squared.sort(dim=2, stable=True).indices[..., 0], squared.sort(dim=1, stable=True).indices[:, 0]
    assert torch.equal(to_b.cpu(), first[0])
    assert torch.equal(to_a.cpu(), first[1])
    torch.testing.assert_close(
        chamfer_kernel.gradient(on_a, on_b, g_ab, g_ba, to_b, to_a).cpu(), expected[0], rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        chamfer_kernel.gradient(on_b, on_a, g_ba, g_ab, to_a, to_b).cpu(), expected[1], rtol=1e-4, atol=1e-5
    )


def test_bad_coordinates_are_seen_and_give_indices_in_range() -> None:
    a, b = cloud(2, 40, "random").to(DEVICE), cloud(2, 50, "random", seed=2).to(DEVICE)
    a[0, 3, 1], b[1, 7, 0] = torch.nan, torch.inf
    d_ab, to_b, d_ba, to_a = chamfer_kernel.nearest(a, b)
    assert d_ab.isnan().nonzero().tolist() == [[0, 3]]
    assert d_ba.isnan().sum(1).tolist() == [50, 0]
    assert torch.isinf(d_ba).nonzero().tolist() == [[1, 7]]
    first = torch.zeros(2, dtype=torch.long, device=DEVICE)
    found = (
        to_b,
        to_a,
        nearest_kernel.nearest(b[:, 6:9], a, 7)[1],
        nearest_kernel.nearest(a[:, 2:5], b, 7)[1],
        sample_kernel.sample(a, 40, first, False),
        sample_kernel.sample(b, 50, first, True),
    )
    for index, size in zip(found, (50, 40, 40, 50, 40, 50), strict=True):
        assert 0 <= int(index.min()) <= int(index.max()) < size


@pytest.mark.parametrize("kind", ["random", "grid"])
@pytest.mark.parametrize("size", (1, 3, 20) if INTERPRETED else (1, 2, 3, 20, 32, 64, 100, 128))
def test_matchings_are_one_to_one_and_within_the_tolerance(size: int, kind: str) -> None:
    a, b = cloud(3, size, kind), cloud(3, size, kind, seed=2)
    partner = auction.matching(a.to(DEVICE), b.to(DEVICE)).cpu()
    assert torch.equal(partner.sort(1).values, torch.arange(size).expand(3, -1))
    mean = (a - b.gather(1, partner[..., None].expand(-1, -1, 3))).norm(dim=2).mean(1)
    above = mean - earth_mover_distance(a, b)
    assert bool((above < auction.TOLERANCE * torch.cdist(a, b).amax((1, 2)) + 1e-6).all())
    assert bool((above > -1e-6).all())


def test_equal_points_are_matched() -> None:
    same = torch.ones(1, 4, 3, device=DEVICE)
    assert auction.matching(same, same).sort(1).values.tolist() == [[0, 1, 2, 3]]


@pytest.mark.skipif(INTERPRETED, reason="needs a GPU")
def test_operators_on_a_gpu_use_the_kernels_and_agree_with_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = cloud(4, 600, "random"), cloud(4, 600, "random", seed=2)
    on_a, on_b = a.cuda().requires_grad_(), b.cuda()
    assert kernels.serves(on_a, on_b)
    assert not kernels.serves(on_a.double())
    for plain in ("0", "1"):
        monkeypatch.setenv(kernels.SWITCH, plain)
        assert kernels.serves(on_a) == (plain == "0")
        for skip in (False, True):
            picks = farthest_point_sample(on_a, 64, 5, skip)
            assert torch.equal(picks.cpu(), farthest_point_sample(a, 64, 5, skip))
        assert torch.equal(knn(on_a, on_b, 16)[1].cpu(), knn(a, b, 16)[1])
        assert torch.equal(ball_query(on_a, on_b, 0.5, 16).cpu(), ball_query(a, b, 0.5, 16))
        loss = chamfer_l1(on_a, on_b)
        (gradient,) = torch.autograd.grad(loss, on_a)
        leaf = a.clone().requires_grad_()
        (expected,) = torch.autograd.grad(chamfer_l1(leaf, b), leaf)
        torch.testing.assert_close(gradient.cpu(), expected, rtol=1e-4, atol=1e-6)
        small = earth_mover_distance(on_a[:, :64], on_b[:, :64])
        torch.testing.assert_close(small.cpu(), earth_mover_distance(a[:, :64], b[:, :64]), rtol=0, atol=0.01)
