"""k nearest neighbours: brute force, both paths, ties, far clouds, many dimensions, official groups."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mm3d.ops import gather, knn
from mm3d.ops.selection import k_smallest

paths = importlib.import_module("mm3d.ops.knn")  # the module; the package's name of it is the function


def brute(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """All differences in float64; ascending by (distance, index)."""
    squared = (queries.double()[:, :, None] - points.double()[:, None]).square().sum(-1)
    distances, index = squared.sort(dim=-1, stable=True)
    return distances[..., :k], index[..., :k]


def assert_valid(result: tuple[Tensor, Tensor], queries: Tensor, points: Tensor, k: int) -> None:
    """Right distances in order, and indices that have those distances, each once, ties in index order."""
    distances, index = result
    assert distances.dtype == points.dtype
    assert index.dtype == torch.long
    assert distances.shape == index.shape == (*queries.shape[:2], k)
    torch.testing.assert_close(distances.double(), brute(queries, points, k)[0], rtol=1e-5, atol=1e-30)
    actual = (gather(points, index) - queries[:, :, None]).square().sum(-1)
    torch.testing.assert_close(distances, actual, rtol=1e-6, atol=0)
    assert bool((distances.diff(dim=-1) >= 0).all())
    assert bool((index.sort(-1).values.diff(dim=-1) > 0).all())
    tied = distances[..., 1:] == distances[..., :-1]
    assert bool((index.diff(dim=-1) > 0)[tied].all())


def clouds(seed: int, batch: int, queries: int, size: int, dimensions: int, kind: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if kind == "grid":
        both = torch.randint(0, 4, (batch, queries + size, dimensions), generator=generator).float()
    else:
        both = torch.randn(batch, queries + size, dimensions, generator=generator)
    if kind == "double":
        both = both.double()
    return both[:, :queries], both[:, queries:]


@given(
    seed=st.integers(0, 10**6),
    batch=st.integers(1, 3),
    queries=st.integers(1, 20),
    size=st.integers(1, 60),
    dimensions=st.integers(1, 12),
    kind=st.sampled_from(["random", "grid", "double"]),
    part=st.floats(0, 1),
)
def test_both_paths_equal_brute_force(
    seed: int, batch: int, queries: int, size: int, dimensions: int, kind: str, part: float
) -> None:
    k = 1 + int(part * (size - 1))
    query, points = clouds(seed, batch, queries, size, dimensions, kind)
    assert_valid(knn(query, points, k), query, points, k)
    candidates = paths._trees(query.contiguous(), points.contiguous(), k)
    exact = (gather(points, candidates) - query[:, :, None]).square().sum(-1)
    assert_valid(paths._ascending(exact, candidates), query, points, k)
    if kind != "grid":
        assert torch.equal(knn(query, points, k)[1], brute(query, points, k)[1])


@pytest.mark.parametrize("shape", [(2, 100, 1700), (2, 300, 2500), (1, 64, 1632)])
@pytest.mark.parametrize("k", [1, 16])
def test_tree_path_equals_tiles_and_brute_force(shape: tuple[int, int, int], k: int) -> None:
    query, points = clouds(3, *shape, 3, "random")
    assert paths._tree_pays(query, points, k)
    distances, index = knn(query, points, k)
    assert torch.equal(index, brute(query, points, k)[1])
    tiled = paths._all_distances(query, points, k)
    assert torch.equal(tiled.sort(-1).values, index.sort(-1).values)
    assert_valid((distances, index), query, points, k)


@pytest.mark.parametrize("shape", [(5, 70, 900), (40, 30, 100)])
def test_threads_and_tiles_change_nothing(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    query, points = clouds(11, *shape, 3, "grid")
    expected = knn(query, points, 7)
    assert_valid(expected, query, points, 7)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(paths, "SMALL_TILE", 2000)
    for got, known in zip(knn(query, points, 7), expected, strict=True):
        assert torch.equal(got, known)
    trees = paths._trees(query, points, 7)
    monkeypatch.undo()
    assert torch.equal(paths._trees(query, points, 7), trees)


@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 20),
    size=st.integers(1, 300),
    part=st.floats(0, 1),
    kind=st.sampled_from(["random", "ties", "infinite"]),
)
def test_k_smallest_are_the_first_of_a_stable_sort(seed: int, rows: int, size: int, part: float, kind: str) -> None:
    draws = np.random.default_rng(seed)
    values = draws.random((rows, size), np.float32)
    if kind == "ties":
        values = np.floor(values * 4).astype(np.float32)
    if kind == "infinite":
        values[draws.random(values.shape) < 0.5] = np.inf
    k = 1 + int(part * (size - 1))
    columns = values.argsort(1, kind="stable")[:, :k]
    found = k_smallest(values, k)
    assert np.array_equal(found[1], columns)
    assert np.array_equal(found[0], np.take_along_axis(values, columns, 1))


def test_large_clouds_with_many_queries_use_several_tiles() -> None:
    query, points = clouds(4, 2, 40, 20000, 3, "random")  # 3 rows fit a tile
    assert not paths._tree_pays(query, points, 5)
    assert_valid(knn(query, points, 5), query, points, 5)


@pytest.mark.parametrize("size", [100, 600])
@pytest.mark.parametrize("dimensions", [3, 16])
def test_clouds_far_from_the_origin(size: int, dimensions: int) -> None:
    query, points = clouds(5, 2, 80, size, dimensions, "random")
    query, points = query + 1000, points + 1000
    distances, index = knn(query, points, 8)
    expected, neighbours = brute(query, points, 8)
    torch.testing.assert_close(distances.double(), expected, rtol=1e-5, atol=0)
    # Coordinates near 1000 are multiples of 6e-5, so exact ties happen; away from those the sets are the
    # same.
    assert float((index == neighbours).double().mean()) > 0.999


def test_near_neighbours_far_away_are_told_apart() -> None:
    base = torch.tensor([1000.0, -1000.0, 1000.0])
    step = torch.tensor([2.0**-12, 0, 0])
    points = torch.stack([base + i * step for i in range(6)])[None]
    distances, index = knn(points[:, :1], points, 6)
    assert index.tolist() == [[[0, 1, 2, 3, 4, 5]]]
    assert distances.flatten().tolist() == [(i * 2.0**-12) ** 2 for i in range(6)]


def test_many_dimensions() -> None:
    query, points = clouds(6, 3, 30, 200, 64, "random")
    assert torch.equal(knn(query, points, 10)[1], brute(query, points, 10)[1])


def test_many_dimensions_with_far_outliers() -> None:
    """Selecting distances carry no digit of the cluster's own; the spare candidates put that right."""
    points = torch.randn(4, 60, 16, generator=torch.Generator().manual_seed(1))
    points[:, :12] *= 1e-3
    points[:, 12:] += 100
    query = points[:, :1] + 1e-4
    distances, index = knn(query, points, 4)
    expected, neighbours = brute(query, points, 4)
    torch.testing.assert_close(distances.double(), expected, rtol=1e-5, atol=0)
    assert torch.equal(index, neighbours)


def test_a_point_finds_itself_and_duplicates_tie_by_index() -> None:
    points = torch.randn(2, 600, 3, generator=torch.Generator().manual_seed(7))
    distances, index = knn(points, points, 1)
    assert torch.equal(index[..., 0], torch.arange(600).expand(2, -1))
    assert int(distances.count_nonzero()) == 0
    twice = points[:1, :5].repeat(1, 2, 1)
    assert knn(points[:1, :5], twice, 2)[1].tolist() == [[[i, i + 5] for i in range(5)]]
    same = torch.ones(1, 600, 3)  # a tree that cannot be split
    assert_valid(knn(same, same, 4), same, same, 4)


def test_all_neighbours_when_k_is_n_and_translation() -> None:
    query, points = clouds(8, 2, 5, 40, 3, "double")
    distances, index = knn(query, points, 40)
    assert torch.equal(index.sort(-1).values, torch.arange(40).expand(2, 5, -1))
    moved = knn(query + 3, points + 3, 40)
    torch.testing.assert_close(moved[0], distances, rtol=1e-9, atol=1e-12)


def test_nothing_is_differentiable_and_autocast_does_not_matter() -> None:
    for dimensions in (3, 32):
        query, points = clouds(9, 2, 5, 40, dimensions, "random")
        expected = knn(query, points, 6)
        distances, index = knn(query.clone().requires_grad_(), points, 6)
        assert not distances.requires_grad
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cast = knn(query, points, 6)
        for got in ((distances, index), cast):
            assert torch.equal(got[0], expected[0])
            assert torch.equal(got[1], expected[1])


@pytest.mark.parametrize("size", [20, 600])
def test_bad_coordinates_give_indices_in_range(size: int) -> None:
    query, points = clouds(10, 2, 70, size, 3, "random")
    points[0, 3, 1], query[1, 2, 0] = torch.nan, torch.inf
    _, index = knn(query, points, 5)
    assert int(index.min()) >= 0
    assert int(index.max()) < size


@pytest.mark.parametrize(
    ("queries", "points", "k"),
    [
        ((2, 4, 3), (2, 5, 3), 6),
        ((2, 4, 3), (2, 5, 3), 0),
        ((2, 4, 3), (3, 5, 3), 1),
        ((2, 4, 3), (2, 5, 2), 1),
        ((2, 4, 3), (2, 0, 3), 1),
        ((2, 0, 3), (2, 5, 3), 1),
        ((4, 3), (5, 3), 1),
    ],
)
def test_errors(queries: tuple[int, ...], points: tuple[int, ...], k: int) -> None:
    with pytest.raises(ValueError, match=r"k must|queries|points"):
        knn(torch.zeros(queries), torch.zeros(points), k)


def test_official_groups(shared: Path) -> None:
    with np.load(shared / "golden" / "point_mae_pretrain.npz", allow_pickle=False) as arrays:
        names = ("points", "out/group_divider/0", "out/group_divider/1")
        points, groups, centres = (torch.from_numpy(arrays[name]) for name in names)
    _, index = knn(centres, points, groups.shape[2])
    ours = gather(points, index) - centres[:, :, None]
    for mine, official in zip(ours.flatten(0, 1).tolist(), groups.flatten(0, 1).tolist(), strict=True):
        assert sorted(mine) == sorted(official)
