"""The transformer: closed form, symmetry, packing, stochastic depth."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from core.random import generator
from core.transformer import Block, StochasticDepth, Transformer

LENGTHS = [3, 1, 5]
OFFSETS = torch.tensor([0, 3, 4, 9])


def make(**settings: float | None) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(8, 2, 2, mlp_ratio=2, **settings).double()  # type: ignore[arg-type]
    for parameter in model.parameters():  # nothing may hide behind ones and zeros
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(*shape), dtype=torch.float64)


def test_positions_are_added_before_every_block() -> None:
    model, x, position = make(), draw(2, 5, 8), draw(2, 5, 8) / 2
    first, second = model.blocks

    def block(module: Block, x: torch.Tensor) -> torch.Tensor:
        n1, n2 = module.norm1, module.norm2
        x = x + module.attn(F.layer_norm(x, (8,), n1.weight, n1.bias))
        fc1, fc2 = module.mlp.fc1, module.mlp.fc2
        hidden = F.gelu(F.layer_norm(x, (8,), n2.weight, n2.bias) @ fc1.weight.T + fc1.bias)
        return x + hidden @ fc2.weight.T + fc2.bias

    one = block(first, x + position)  # type: ignore[arg-type]
    two = block(second, one + position)  # type: ignore[arg-type]
    outputs = model.layers(x, position)
    assert torch.allclose(outputs[0], one, atol=1e-12)
    assert torch.allclose(outputs[1], two, atol=1e-12)
    assert torch.allclose(model(x, position), F.layer_norm(two, (8,), model.norm.weight, model.norm.bias), atol=1e-12)
    assert not torch.allclose(model(x, position), model(x + position), atol=1e-3)
    assert torch.allclose(model(x), model(x, torch.zeros_like(x)))


def test_permuting_tokens_permutes_the_output() -> None:
    model, x, position, order = (
        make(),
        draw(2, 6, 8),
        draw(2, 6, 8),
        torch.randperm(6, generator=generator(1)),
    )
    assert torch.allclose(model(x[:, order], position[:, order]), model(x, position)[:, order], atol=1e-12)


@pytest.mark.parametrize("rotary", [None, 10000.0])
def test_packed_equals_dense(rotary: float | None) -> None:
    model, x, position = make(rotary=rotary), draw(9, 8), draw(9, 8)
    packed = model(x, position, OFFSETS)
    parts = zip(x.split(LENGTHS), position.split(LENGTHS), strict=True)
    dense = torch.cat([model(a.unsqueeze(0), b.unsqueeze(0)).squeeze(0) for a, b in parts])
    assert torch.allclose(packed, dense, atol=1e-12)


def test_samples_of_a_packed_batch_do_not_see_each_other() -> None:
    model, x = make(), draw(9, 8)
    changed = x.clone()
    changed[4:] += 1
    assert torch.equal(model(x, offsets=OFFSETS)[:4], model(changed, offsets=OFFSETS)[:4])


def test_drop_rates_grow_linearly() -> None:
    model = Transformer(8, 5, 2, drop_path=0.2)
    rates = [block.drop_path.rate for block in model.blocks]  # type: ignore[union-attr]
    assert rates == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer, x = StochasticDepth(0.3).train(), torch.ones(20000, 3, 2)
    out = layer(x)
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    values = out[:, 0, 0].unique()
    assert torch.allclose(values, torch.tensor([0, 1 / 0.7]))
    assert abs(float(out.mean()) - 1) < 0.02


def test_stochastic_depth_of_packed_samples() -> None:
    torch.manual_seed(0)
    layer = StochasticDepth(0.5).train()
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), (torch.arange(400) % 4 + 1).cumsum(0)])
    out = layer(torch.ones(int(offsets[-1]), 2), offsets)
    kept = 0
    for start, end in pairwise(offsets.tolist()):
        assert (out[start:end] == out[start, 0]).all()
        kept += bool(out[start, 0] > 0)
    assert 150 < kept < 250
    assert set(out.unique().tolist()) == {0.0, 2.0}


def test_stochastic_depth_is_nothing_in_evaluation() -> None:
    x = draw(4, 3)
    assert StochasticDepth(0.9).eval()(x) is x
    assert StochasticDepth(0.0).train()(x) is x
    model, tokens = make(drop_path=0.9), draw(2, 5, 8)
    assert torch.equal(model(tokens), model(tokens))
    for rate in (-0.1, 1.0):
        with pytest.raises(ValueError, match="drop rate"):
            StochasticDepth(rate)


def test_a_dropped_branch_leaves_the_sample_as_it_is() -> None:
    torch.manual_seed(0)
    block = Block(8, 2, 2.0, True, 1 - 1e-9, None).double().train()
    x = draw(3, 5, 8)
    assert torch.equal(block(x), x)


def test_no_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one block"):
        Transformer(8, 0, 2)


@pytest.mark.parametrize("rotary", [None, 100.0])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_the_last_tokens_alone_are_those_of_all(rotary: float | None, qkv_bias: bool) -> None:
    torch.manual_seed(0)
    model = Transformer(16, 3, 4, qkv_bias=qkv_bias, rotary=rotary).double()
    x, position = torch.randn(2, 2, 7, 16, dtype=torch.float64)
    whole, part = model(x, position)[:, -3:], model(x, position, last=3)
    torch.testing.assert_close(part, whole)
    weights = list(model.parameters())
    for a, b in zip(
        torch.autograd.grad(part.square().sum(), weights),
        torch.autograd.grad(whole.square().sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_a_bias_reaches_every_block() -> None:
    model, x, bias = make(), draw(2, 5, 8), draw(2, 2, 5, 5)
    one = model.blocks[0](x, bias=bias)
    two = model.blocks[1](one, bias=bias)
    torch.testing.assert_close(model(x, bias=bias), model.norm(two))
    torch.testing.assert_close(model(x, bias=bias, last=2), model.norm(two)[:, -2:])
    assert not torch.allclose(model(x, bias=bias), model(x), atol=1e-3)


def test_dropout_acts_in_training_on_the_branches_alone() -> None:
    torch.manual_seed(0)
    model, x = Transformer(8, 2, 2, dropout=0.5), torch.randn(2, 5, 8)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))
    block = Block(8, 2, 2.0, True, 0.0, None, dropout=1 - 1e-9).double().train()
    tokens = draw(3, 5, 8)
    assert torch.equal(block(tokens), tokens)
