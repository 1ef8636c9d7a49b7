"""Sparse convolution against dense convolution, finite differences, and its symmetries."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from core.random import generator
from mm3d.ops.kernel_map import Kernel, ravel, unravel
from mm3d.ops.sparse_conv import (
    active_path,
    from_spconv,
    gather_conv,
    inverse_conv,
    strided_conv,
    submanifold_conv,
    to_spconv,
    transposed_conv,
)
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid, sparse_voxels

SHAPE = (6, 7, 9)


def voxels(count: int = 60, channels: int = 3, batch: int = 2, shape: tuple[int, int, int] = SHAPE) -> SparseVoxels:
    """Random voxels, float64; the second scene of two is the sparser one."""
    source = generator("voxels", count)
    cells = batch * shape[0] * shape[1] * shape[2]
    keys = torch.randperm(cells, generator=source)[:count].sort().values
    features = torch.randn(count, channels, generator=source, dtype=torch.float64)
    return SparseVoxels(features, VoxelGrid(unravel(keys, shape), shape, batch))


def weight(size: tuple[int, int, int], inputs: int = 3, outputs: int = 4) -> Tensor:
    return torch.randn(*size, inputs, outputs, generator=generator("weight", *size), dtype=torch.float64)


def as_dense(filters: Tensor) -> Tensor:
    """Ours (kz, ky, kx, in, out) in the layout of conv3d (out, in, kz, ky, kx)."""
    return filters.permute(4, 3, 0, 1, 2)


def at(dense: Tensor, grid: VoxelGrid) -> Tensor:
    b, z, y, x = grid.indices.T
    return dense[b, :, z, y, x]


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 3, 3), (5, 3, 1), (1, 3, 5)])
@pytest.mark.parametrize("count", [1, 2, 60, 6 * 7 * 9 * 2])
def test_submanifold_is_dense_convolution_at_the_voxels(size: tuple[int, int, int], count: int) -> None:
    x, filters = voxels(count), weight(size)
    y = submanifold_conv(x, filters)
    assert y.grid is x.grid
    dense = F.conv3d(x.dense(), as_dense(filters), padding=tuple(length // 2 for length in size))
    torch.testing.assert_close(y.features, at(dense, y.grid))


KERNELS = [
    Kernel((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    Kernel((3, 3, 3), (2, 2, 2), (0, 1, 1)),
    Kernel((3, 1, 1), (2, 1, 1), (0, 0, 0)),
    Kernel((2, 2, 2), (2, 2, 2), (0, 0, 0)),
    Kernel((3, 3, 3), (1, 1, 1), (1, 1, 1)),
    Kernel((2, 3, 4), (3, 1, 2), (1, 2, 0)),
]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("count", [1, 60])
def test_strided_is_dense_convolution_where_a_voxel_is_in_the_field(kernel: Kernel, count: int) -> None:
    x, filters = voxels(count), weight(kernel.size)
    y = strided_conv(x, filters, kernel.stride, kernel.padding)
    torch.testing.assert_close(
        y.dense(), F.conv3d(x.dense(), as_dense(filters), stride=kernel.stride, padding=kernel.padding)
    )
    occupied = F.conv3d(
        x.with_features(torch.ones(len(x.grid), 1, dtype=torch.float64)).dense(),
        torch.ones(1, 1, *kernel.size, dtype=torch.float64), stride=kernel.stride, padding=kernel.padding,
    )  # fmt: skip
    assert y.grid.indices.tolist() == occupied[:, 0].nonzero().tolist()


@pytest.mark.parametrize("kernel", KERNELS)
def test_transposed_is_dense_transposed_convolution(kernel: Kernel) -> None:
    x, filters = voxels(20), weight(kernel.size)
    more = tuple(stride - 1 for stride in kernel.stride)
    y = transposed_conv(x, filters, kernel.stride, kernel.padding, more)  # type: ignore[arg-type]
    dense = F.conv_transpose3d(
        x.dense(), filters.permute(3, 4, 0, 1, 2), stride=kernel.stride, padding=kernel.padding, output_padding=more
    )
    torch.testing.assert_close(y.dense(), dense)


@pytest.mark.parametrize("kernel", KERNELS[:4])
def test_inverse_is_the_transpose_at_the_voxels_there_were(kernel: Kernel) -> None:
    x, filters, back = voxels(40), weight(kernel.size), weight(kernel.size, 4, 3)
    middle = strided_conv(x, filters, kernel.stride, kernel.padding)
    y = inverse_conv(middle, back, x.grid, kernel.stride, kernel.padding)
    assert y.grid is x.grid
    whole = transposed_conv(middle, back, kernel.stride, kernel.padding, (2, 2, 2)).dense()
    inside = x.grid.indices[:, 1:] < torch.tensor(whole.shape[2:])
    inside = inside.all(dim=1)
    b, z, y_, x_ = x.grid.indices[inside].T
    torch.testing.assert_close(y.features[inside], whole[b, :, z, y_, x_])
    with pytest.raises(ValueError, match="did not make these voxels"):
        inverse_conv(x.with_features(x.features), back.transpose(3, 4), x.grid, kernel.stride, kernel.padding)


@pytest.mark.parametrize("kind", ["submanifold", "strided", "transposed", "inverse"])
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    x, filters = voxels(12, 2), weight((3, 3, 3), 2, 2).requires_grad_()
    coarse = strided_conv(x, filters.detach(), (2, 2, 2), (1, 1, 1))
    start = coarse if kind == "inverse" else x

    def convolve(features: Tensor, filters: Tensor) -> Tensor:
        here = start.with_features(features)
        if kind == "submanifold":
            return submanifold_conv(here, filters).features
        if kind == "strided":
            return strided_conv(here, filters, (2, 2, 2), (1, 1, 1)).features
        if kind == "transposed":
            return transposed_conv(here, filters, (2, 2, 2), (1, 1, 1), (1, 1, 1)).features
        return inverse_conv(here, filters, x.grid, (2, 2, 2), (1, 1, 1)).features

    features = start.features.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(convolve, (features, filters))
    only = features.detach()  # each gradient alone takes another way
    assert torch.autograd.gradcheck(lambda w: convolve(only, w), (filters,))
    fixed = filters.detach()
    assert torch.autograd.gradcheck(lambda f: convolve(f, fixed), (features,))


def test_without_voxels_there_is_no_output() -> None:
    x = SparseVoxels(torch.zeros(0, 3, dtype=torch.float64), VoxelGrid(torch.zeros(0, 4).long(), SHAPE, 2))
    filters = weight((3, 3, 3)).requires_grad_()
    for y in (
        submanifold_conv(x, filters),
        strided_conv(x, filters, (2, 2, 2), (1, 1, 1)),
        transposed_conv(x, filters, (2, 2, 2)),
    ):
        assert y.features.shape == (0, 4)
        assert y.dense().abs().sum() == 0
        y.features.sum().backward()
    assert filters.grad is not None
    assert filters.grad.abs().sum() == 0


def test_a_grid_without_room_for_a_kernel_gives_no_cells() -> None:
    with pytest.raises(ValueError, match="does not fit a grid"):
        strided_conv(voxels(5), weight((9, 1, 1)), (2, 2, 2))


def test_voxels_outside_fields_have_no_output() -> None:
    """Stride larger than the kernel: an input between the fields reaches nothing."""
    x = SparseVoxels(torch.ones(1, 3, dtype=torch.float64), VoxelGrid(torch.tensor([[0, 1, 1, 1]]), SHAPE, 1))
    assert strided_conv(x, weight((1, 1, 1)), (2, 2, 2)).features.shape == (0, 4)


@given(st.integers(0, 2**31), st.tuples(*[st.integers(0, 3)] * 3))
def test_shifting_by_the_stride_shifts_the_output(seed: int, move: tuple[int, int, int]) -> None:
    source = torch.Generator().manual_seed(seed)
    shape = (16, 17, 18)
    low = unravel(torch.randperm(4 * 4 * 4, generator=source)[:9].sort().values, (4, 4, 4))
    low = low + torch.tensor([0, 2, 2, 2])  # clear of the border
    features = torch.randn(9, 3, generator=source, dtype=torch.float64)
    by = torch.tensor([0, *move])
    filters = weight((3, 3, 3))

    def both(indices: Tensor, step: int) -> tuple[SparseVoxels, SparseVoxels]:
        x = SparseVoxels(features, VoxelGrid(indices, shape, 1))
        return submanifold_conv(x, filters), strided_conv(x, filters, (step, step, step))

    for step in (1, 2):
        here, there = both(low, step), both(low + step * by, step)
        torch.testing.assert_close(here[0].features, there[0].features)
        assert torch.equal(here[1].grid.indices + by, there[1].grid.indices)
        torch.testing.assert_close(here[1].features, there[1].features)


@given(st.integers(0, 2**31), st.integers(1, 40))
def test_the_order_of_voxels_does_not_matter(seed: int, count: int) -> None:
    source = torch.Generator().manual_seed(seed)
    x, filters = voxels(count), weight((3, 3, 3))
    order = torch.randperm(count, generator=source)
    same, place = sparse_voxels(x.grid.indices[order], x.features[order], SHAPE, 2)
    assert torch.equal(same.grid.indices, x.grid.indices)
    assert torch.equal(same.features[place], x.features[order])
    torch.testing.assert_close(submanifold_conv(same, filters).features, submanifold_conv(x, filters).features)


def test_scenes_of_a_batch_do_not_touch() -> None:
    x, filters = voxels(60), weight((3, 3, 3))
    together = submanifold_conv(x, filters).features
    for scene in (0, 1):
        here = x.grid.indices[:, 0] == scene
        indices = x.grid.indices[here] * torch.tensor([0, 1, 1, 1])
        alone = submanifold_conv(SparseVoxels(x.features[here], VoxelGrid(indices, SHAPE, 1)), filters)
        torch.testing.assert_close(alone.features, together[here])


def test_maps_are_made_once() -> None:
    x, filters = voxels(), weight((3, 3, 3))
    y = submanifold_conv(x, filters)
    assert y.grid.neighbours((3, 3, 3)) is x.grid.neighbours((3, 3, 3))
    first, second = (strided_conv(x, filters, (2, 2, 2), (1, 1, 1)) for _ in range(2))
    assert first.grid is second.grid
    assert strided_conv(x, filters, (2, 2, 2), (0, 1, 1)).grid is not first.grid


def test_the_table_and_the_pairs_say_the_same() -> None:
    x = voxels()
    for found in (x.grid.neighbours((3, 3, 3)).map, x.grid.strided(KERNELS[0]).map):
        rows = torch.cat([x.features, torch.zeros(1, 3)])[found.table.long()]  # -1 is the row of zeros
        filters = weight((3, 3, 3))
        by_table = torch.einsum("mkc,kcd->md", rows, filters.flatten(0, 2))
        torch.testing.assert_close(gather_conv(x.features, filters, found), by_table)


def test_half_precision_is_summed_in_float32() -> None:
    x, filters = voxels(500, shape=(9, 9, 9)), weight((3, 3, 3))
    exact = submanifold_conv(x.with_features(x.features.bfloat16().double()), filters.bfloat16().double()).features
    half = submanifold_conv(x.with_features(x.features.bfloat16()), filters.bfloat16()).features
    assert half.dtype == torch.bfloat16
    assert float((half.double() - exact).abs().max() / exact.abs().max()) < 0.01
    with torch.autocast("cpu", torch.bfloat16):
        assert submanifold_conv(x, filters).features.dtype == torch.bfloat16


def test_weights_go_to_spconv_and_back() -> None:
    filters = weight((3, 1, 2))
    assert to_spconv(filters).shape == (4, 3, 1, 2, 3)
    assert torch.equal(from_spconv(to_spconv(filters)), filters)
    assert to_spconv(filters)[3, 2, 0, 1, 1] == filters[2, 0, 1, 1, 3]


def test_keys_and_indices_are_inverse() -> None:
    indices = voxels().grid.indices
    assert torch.equal(unravel(ravel(indices, SHAPE), SHAPE), indices)


def test_bad_grids_and_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = torch.tensor([[0, 1, 1, 1], [0, 1, 1, 2]])
    for wrong, said in (
        (inside[:, :3], r"\(N, 4\) int64"),
        (inside.float(), r"\(N, 4\) int64"),
        (inside.flip(0), "not sorted"),
        (inside[:1].repeat(2, 1), "not sorted"),
        (inside + torch.tensor([2, 0, 0, 0]), "outside 2 grids"),
        (inside - 2, "outside 2 grids"),
    ):
        with pytest.raises(ValueError, match=said):
            VoxelGrid(wrong, SHAPE, 2)
    x = voxels()
    with pytest.raises(ValueError, match="do not fit 60 voxels"):
        x.with_features(x.features[1:])
    with pytest.raises(ValueError, match="odd along every axis"):
        submanifold_conv(x, weight((2, 3, 3)))
    with pytest.raises(ValueError, match="do not fit a map"):
        submanifold_conv(x, weight((3, 3, 3), 2))
    with pytest.raises(ValueError, match="kz, ky, kx"):
        submanifold_conv(x, weight((3, 3, 3))[0])
    monkeypatch.setenv("MM_BEYOND_SPARSE_CONV", "cutlass")
    with pytest.raises(ValueError, match="expected one of torch, spconv, triton"):
        active_path("cuda")
    assert active_path("cpu") == "torch"
