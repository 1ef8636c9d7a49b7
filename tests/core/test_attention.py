"""Attention against a plain softmax; packed against dense; rotary embeddings."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from core.attention import Attention, packed_attention
from core.random import generator
from core.rotary import rotate, rotation

LENGTHS = [3, 1, 7, 4]


def offsets_of(lengths: list[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention of (T, H, D), written out."""
    scores = torch.einsum("qhd,khd->hqk", query, key) / math.sqrt(query.shape[-1])
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), value)


@pytest.mark.parametrize("lengths", [LENGTHS, [3, 2, 3, 2, 2, 3, 1, 1, 3]])
def test_packed_attention_is_a_softmax_within_each_sample(lengths: list[int]) -> None:
    q, k, v = torch.randn(3, sum(lengths), 2, 5, dtype=torch.float64, generator=generator(0)).unbind()
    result = packed_attention(q, k, v, offsets_of(lengths))
    expected = torch.cat([plain(*part) for part in zip(*(t.split(lengths) for t in (q, k, v)), strict=True)])
    assert torch.allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_dense_attention_is_projections_around_a_softmax(bias: bool) -> None:
    torch.manual_seed(0)
    layer = Attention(6, 3, qkv_bias=bias).double()
    assert (layer.qkv.bias is not None) == bias
    x = torch.randn(2, 4, 6, dtype=torch.float64)
    q, k, v = layer.qkv(x).split(6, -1)  # the official order: all heads of q, then of k, then of v
    expected = [plain(*(t[i].view(4, 3, 2) for t in (q, k, v))).reshape(4, 6) for i in range(2)]
    assert torch.allclose(layer(x), layer.proj(torch.stack(expected)), atol=1e-12)


@pytest.mark.parametrize("rotary", [None, 100.0])
def test_packed_equals_dense_sample_by_sample(rotary: float | None) -> None:
    torch.manual_seed(0)
    layer = Attention(8, 2, rotary=rotary).double()
    x = torch.randn(sum(LENGTHS), 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(sum(LENGTHS), 8, dtype=torch.float64)
    packed = layer(x, offsets_of(LENGTHS))
    dense = torch.cat([layer(part.unsqueeze(0)).squeeze(0) for part in x.split(LENGTHS)])
    assert torch.allclose(packed, dense, atol=1e-12)
    inputs = [x, *layer.parameters()]
    for a, b in zip(
        torch.autograd.grad((packed * weight).sum(), inputs),
        torch.autograd.grad((dense * weight).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-12)


def test_attention_without_positions_does_not_know_order() -> None:
    torch.manual_seed(0)
    layer, x, order = Attention(8, 2).double(), torch.randn(2, 6, 8, dtype=torch.float64), torch.randperm(6)
    assert torch.allclose(layer(x[:, order]), layer(x)[:, order], atol=1e-12)
    turned = Attention(8, 2, rotary=10000.0).double()
    assert not torch.allclose(turned(x[:, order]), turned(x)[:, order], atol=1e-3)


def test_rotation_is_that_of_complex_numbers() -> None:
    x = torch.randn(5, 2, 6, generator=generator(1))
    positions = torch.tensor([0, 1, 4, 9, 100])
    turned = rotate(x, rotation(positions, 6, base=50.0))
    frequency = 50.0 ** (-torch.arange(3) / 3)
    angle = positions[:, None, None] * frequency
    expected = torch.complex(x[..., :3], x[..., 3:]) * torch.polar(torch.ones_like(angle), angle)
    assert torch.allclose(torch.complex(turned[..., :3], turned[..., 3:]), expected, atol=1e-5)
    assert torch.allclose(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
    assert torch.equal(turned[0], x[0])  # position 0 turns nothing
    assert rotate(x.bfloat16(), rotation(positions, 6)).dtype == torch.bfloat16


def test_rotated_products_depend_on_the_distance_alone() -> None:
    q, k = torch.randn(2, 1, 1, 8, generator=generator(2), dtype=torch.float64).unbind()

    def product(i: int, j: int) -> float:
        return float((rotate(q, rotation(torch.tensor([i]), 8)) * rotate(k, rotation(torch.tensor([j]), 8))).sum())

    assert product(3, 7) == pytest.approx(product(53, 57), abs=1e-5)
    assert product(0, 5) == pytest.approx(product(20, 25), abs=1e-5)
    assert product(3, 7) != pytest.approx(product(7, 3), abs=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the variable-length kernel needs a GPU")
def test_variable_length_kernel_equals_the_plain_path() -> None:
    q, k, v = torch.randn(3, sum(LENGTHS), 2, 64, generator=generator(0)).unbind()
    expected = packed_attention(q, k, v, offsets_of(LENGTHS))
    half = [t.to("cuda", torch.bfloat16).requires_grad_() for t in (q, k, v)]
    result = packed_attention(*half, offsets_of(LENGTHS).cuda())
    assert torch.allclose(result.float().cpu(), expected, atol=3e-2)
    result.sum().backward()
    assert all(t.grad is not None and t.grad.isfinite().all() for t in half)


def test_unusable_widths() -> None:
    with pytest.raises(ValueError, match="not divisible"):
        Attention(7, 2)
    with pytest.raises(ValueError, match="even head width"):
        rotation(torch.arange(2), 3)


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (2, 1)])
def test_a_bias_is_added_to_the_scores(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer, x = Attention(6, 3).double(), torch.randn(2, 4, 6, dtype=torch.float64)
    bias = torch.randn(*shape, 4, 4, dtype=torch.float64, requires_grad=True)
    q, k, v = (t.unflatten(-1, (3, 2)).transpose(1, 2) for t in layer.qkv(x).split(6, -1))
    weights = (q @ k.transpose(-1, -2) / math.sqrt(2) + bias).softmax(-1)
    expected = layer.proj((weights @ v).transpose(1, 2).flatten(-2))
    result = layer(x, bias=bias)
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(layer(x, last=2, bias=bias), expected[:, -2:])
    found, right = (torch.autograd.grad(y.square().sum(), bias, retain_graph=True)[0] for y in (result, expected))
    torch.testing.assert_close(found, right)
    with pytest.raises(ValueError, match="dense tokens"):
        layer(x[0], torch.tensor([0, 4]), bias=bias)


def test_tokens_that_a_bias_cuts_off_change_nothing() -> None:
    torch.manual_seed(0)
    layer, x = Attention(6, 3).double(), torch.randn(2, 4, 6, dtype=torch.float64)
    bias = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    bias[..., 3] = -torch.inf
    torch.testing.assert_close(layer(x, bias=bias)[:, :3], layer(x[:, :3]))


def test_dropout_of_attention_weights() -> None:
    torch.manual_seed(0)
    layer, x = Attention(6, 3, dropout=0.5), torch.randn(2, 4, 6)
    assert not torch.equal(layer(x), layer(x))
    assert torch.equal(layer.eval()(x), layer(x))
    offsets = torch.tensor([0, 1, 4])
    with pytest.raises(ValueError, match="dense tokens"):
        layer(x[0], offsets, bias=torch.zeros(1, 1, 4, 4))
    assert torch.equal(layer(x[0], offsets), layer(x[0], offsets))
    layer.train()
    assert not torch.equal(layer(x[0], offsets), layer(x[0], offsets))
