"""Which parameters decay, and the learning rate in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import Tiny, TinyConfig
from torch import nn

from core.training.config import OptimConfig
from core.training.optim import learning_rate, new_optimizer


def test_matrices_decay_and_vectors_and_tokens_do_not() -> None:
    model = Tiny(TinyConfig())
    model.encoder.extra_token = torch.nn.Parameter(torch.zeros(1, 1, 8))
    frozen = model.encoder.transformer.blocks[0].attn.qkv.weight.requires_grad_(False)  # type: ignore[union-attr,index]
    decayed, kept = new_optimizer(model, OptimConfig(weight_decay=0.3, betas=(0.8, 0.95))).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    assert decayed["weight_decay"] == 0.3
    assert kept["weight_decay"] == 0
    assert decayed["betas"] == (0.8, 0.95)
    first = {names[id(p)] for p in decayed["params"]}
    second = {names[id(p)] for p in kept["params"]}
    assert first | second == set(names.values()) - {names[id(frozen)]}
    assert not first & second
    assert first == {
        "encoder.embed.weight",
        "objectives.line.head.weight",
        *(
            f"encoder.transformer.blocks.{i}.{layer}.weight"
            for i in range(2)
            for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
            if (i, layer) != (0, "attn.qkv")
        ),
    }
    assert "encoder.extra_token" in second
    assert "encoder.norm.weight" in second


def test_decay_of_one_step_is_exact() -> None:
    """With zero gradients AdamW only decays: p * (1 - lr * decay)."""
    model = Tiny(TinyConfig())
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = new_optimizer(model, OptimConfig(lr=0.5, weight_decay=0.2))
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in model.named_parameters():
        factor = 0.9 if p.ndim > 1 else 1.0
        assert torch.allclose(p, before[name] * factor, rtol=1e-6), name


def test_eps_is_that_of_the_settings() -> None:
    for algorithm in ("adam", "adamw"):
        optimizer = new_optimizer(Tiny(TinyConfig()), OptimConfig(algorithm=algorithm, eps=1e-6))  # type: ignore[arg-type]
        assert {group["eps"] for group in optimizer.param_groups} == {1e-6}
    with pytest.raises(ValueError, match="eps 0"):
        OptimConfig(eps=0)


def test_everything_decays_where_asked() -> None:
    model = Tiny(TinyConfig())
    decayed, kept = new_optimizer(model, OptimConfig(weight_decay=0.3, decay="all")).param_groups
    assert len(decayed["params"]) == len(list(model.parameters()))
    assert not kept["params"]


EPOCHS = 20
CONFIG = OptimConfig(lr=1.0, warmup_lr=0.1, min_lr=0.01, warmup_epochs=4)


@given(epoch=st.floats(0, EPOCHS))
def test_schedule_in_closed_form(epoch: float) -> None:
    expected = 0.1 + 0.9 * epoch / 4 if epoch < 4 else 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * epoch / EPOCHS))
    assert learning_rate(CONFIG, epoch, EPOCHS) == pytest.approx(expected)
    by_epoch = OptimConfig(lr=1.0, warmup_lr=0.1, min_lr=0.01, warmup_epochs=4, lr_update="epoch")
    assert learning_rate(by_epoch, epoch, EPOCHS) == learning_rate(CONFIG, math.floor(epoch), EPOCHS)


def test_schedule_at_its_ends() -> None:
    assert learning_rate(CONFIG, 0, EPOCHS) == pytest.approx(0.1)
    assert learning_rate(CONFIG, EPOCHS, EPOCHS) == pytest.approx(0.01)
    assert learning_rate(CONFIG, EPOCHS + 5, EPOCHS) == pytest.approx(0.01)
    none = OptimConfig(lr=1.0, warmup_epochs=0)
    assert learning_rate(none, 0, EPOCHS) == pytest.approx(1.0)
    rates = [learning_rate(none, e / 10, EPOCHS) for e in range(10 * EPOCHS)]
    assert rates == sorted(rates, reverse=True)


@given(epoch=st.floats(0, EPOCHS + 5))
def test_a_line_begins_at_the_end_of_the_warm_up(epoch: float) -> None:
    line = OptimConfig(lr=1.0, warmup_lr=0.1, min_lr=0.01, warmup_epochs=4, schedule="linear")
    expected = 0.1 + 0.9 * epoch / 4 if epoch < 4 else max(1 - 0.99 * (epoch - 4) / (EPOCHS - 4), 0.01)
    assert learning_rate(line, epoch, EPOCHS) == pytest.approx(expected)


def test_adam_decays_everything_through_the_gradient() -> None:
    model = nn.Linear(2, 1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = new_optimizer(model, OptimConfig(algorithm="adam", lr=0.1, weight_decay=0.5))
    assert len(optimizer.param_groups) == 1
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():  # Adam's first step is lr times the sign of the decayed gradient
        torch.testing.assert_close(parameter.detach(), before[name] - 0.1 * before[name].sign(), rtol=1e-4, atol=1e-5)


def test_a_constant_rate_follows_the_warm_up() -> None:
    config = OptimConfig(lr=0.2, schedule="constant", warmup_epochs=2, warmup_lr=0.0)
    assert [learning_rate(config, epoch, 10) for epoch in (0, 1, 2, 5, 9.9)] == [0.0, 0.1, 0.2, 0.2, 0.2]
