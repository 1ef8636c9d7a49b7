"""Windowed attention against dense attention within each window, and against a plain re-statement of SST's layer."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from core.post_norm import PostNormBlock
from core.random import generator
from mm3d.layers.pillar_encoder import SparseTransformer
from mm3d.layers.windows import WindowAttention, regions, window_position

DIM, HEADS, WINDOW = 16, 4, 5


def cells(count: int = 120, seed: int = 0, sweeps: int = 2) -> Tensor:
    """(T, 4) cells of a 17 x 23 grid, all different, in no order."""
    keys = torch.randperm(sweeps * 17 * 23, generator=generator("cells", seed))[:count]
    return torch.stack([keys // (17 * 23), torch.zeros_like(keys), keys // 23 % 17, keys % 23], dim=1)


def windows_of(indices: Tensor, window: int, moved: bool) -> list[list[int]]:
    """Rows of the tokens of every window."""
    shift = window // 2 if moved else 0
    found = defaultdict(list)
    for row, (sweep, _, y, x) in enumerate(indices.tolist()):
        found[sweep, (y + shift) // window, (x + shift) // window].append(row)
    return list(found.values())


def place_of(index: Tensor, window: int, moved: bool, dim: int) -> Tensor:
    """The position embedding of one cell, written out."""
    shift = window // 2 if moved else 0
    _, _, y, x = index.tolist()
    values = []
    for coordinate in ((x + shift) % window - window / 2, (y + shift) % window - window / 2):
        for channel in range(dim // 2):
            angle = coordinate / 10000 ** (2 * (channel // 2) / (dim // 2))
            values.append(math.cos(angle) if channel % 2 else math.sin(angle))
    return torch.tensor(values)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("count", [1, 7, 120, 700])
def test_attention_is_that_of_dense_windows(moved: bool, count: int) -> None:
    """torch's own multi-head attention on every window alone gives the same, gradients too."""
    torch.manual_seed(0)
    indices = cells(count)
    x = torch.randn(count, DIM, requires_grad=True)
    ours = WindowAttention(DIM, HEADS)
    theirs = nn.MultiheadAttention(DIM, HEADS, batch_first=True)
    theirs.load_state_dict({
        "in_proj_weight": ours.qkv.weight, "in_proj_bias": ours.qkv.bias,
        "out_proj.weight": ours.proj.weight, "out_proj.bias": ours.proj.bias,
    })  # fmt: skip
    found = ours(x, regions(indices, WINDOW, moved, DIM))
    expected = torch.zeros(count, DIM)
    for rows in windows_of(indices, WINDOW, moved):
        place = torch.stack([place_of(indices[row], WINDOW, moved, DIM) for row in rows])
        query = (x[rows] + place)[None]
        expected = expected.index_copy(0, torch.tensor(rows), theirs(query, query, x[rows][None])[0][0])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    weights = torch.randn(count, DIM)
    gradients = [torch.autograd.grad((out * weights).sum(), x)[0] for out in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 9), st.booleans())
def test_regions_are_the_windows(seed: int, window: int, moved: bool) -> None:
    indices = cells(60, seed)
    made = regions(indices, window, moved, 4)
    rows = [set(part.tolist()) for part in made.order.split(made.offsets.diff().tolist())]
    assert sorted(map(sorted, rows)) == sorted(map(sorted, windows_of(indices, window, moved)))
    assert torch.equal(made.order[made.place], torch.arange(60))


def test_position_is_told_apart_within_a_window() -> None:
    every = torch.cartesian_prod(torch.arange(16), torch.arange(16))
    made = window_position(every, 16, 128)
    assert torch.cdist(made, made).fill_diagonal_(1.0).min() > 0.1


def test_a_block_is_two_layers_of_sst() -> None:
    """The released encoder layer written with torch's modules: attention, norm, GELU MLP, norm; then moved windows."""
    torch.manual_seed(1)
    model = SparseTransformer(DIM, 1, HEADS, 24, WINDOW)
    indices, x = cells(), torch.randn(120, DIM)
    expected = x
    for moved, layer in zip((False, True), model.layers, strict=True):
        assert isinstance(layer, PostNormBlock)
        mixed = layer.attn(expected, regions(indices, WINDOW, moved, DIM))
        expected = F.layer_norm(expected + mixed, (DIM,), layer.norm1.weight, layer.norm1.bias)
        inner = F.linear(F.gelu(F.linear(expected, layer.mlp.fc1.weight, layer.mlp.fc1.bias)), layer.mlp.fc2.weight)
        expected = F.layer_norm(expected + inner + layer.mlp.fc2.bias, (DIM,), layer.norm2.weight, layer.norm2.bias)
    torch.testing.assert_close(model(x, indices), expected, rtol=1e-5, atol=1e-5)


def test_the_order_of_tokens_does_not_matter() -> None:
    torch.manual_seed(2)
    model = SparseTransformer(DIM, 2, HEADS, 24, WINDOW)
    indices, x = cells(), torch.randn(120, DIM)
    order = torch.randperm(120)
    torch.testing.assert_close(model(x[order], indices[order]), model(x, indices)[order], rtol=1e-5, atol=1e-5)


def test_far_tokens_meet_through_moved_windows() -> None:
    """A token is heard in its window after one layer's worth of windows, and beyond it only through moved ones."""
    torch.manual_seed(3)
    model = SparseTransformer(DIM, 1, HEADS, 24, WINDOW).double()
    indices = torch.tensor([[0, 0, 0, x] for x in range(23)])
    x = torch.randn(23, DIM, dtype=torch.float64, requires_grad=True)
    heard = torch.autograd.grad(model(x, indices)[9].sum(), x)[0].abs().sum(1) > 0
    # 9 shares the moved window 8 to 12 (cells 8..12), whose members heard the windows 5..9 and 10..14 before.
    assert heard.nonzero().squeeze(1).tolist() == list(range(5, 15))
