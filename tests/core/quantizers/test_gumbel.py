"""The quantizer of a discrete VAE: closed forms, noise, schedules, and the golden values of Point-BERT's."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from core.quantizers import GumbelQuantizer
from core.quantizers.gumbel import cosine_between, divergence_of_uniform, gumbel_noise
from core.random import generator


def test_vectors_are_the_mixture_that_torch_draws_from_the_same_noise() -> None:
    layer = GumbelQuantizer(5, 3)
    logits = torch.randn(2, 4, 5, generator=generator(0), requires_grad=True)
    noise = gumbel_noise((2, 4, 5), generator(1))
    soft = F.softmax((logits + noise) / 0.7, -1)
    torch.testing.assert_close(layer(logits, noise, 0.7).vectors, torch.einsum("bnk,kc->bnc", soft, layer.codebook))
    hard = layer(logits, noise, 0.7, hard=True)
    torch.testing.assert_close(hard.vectors, layer.codebook[(logits + noise).argmax(-1)])
    weight = torch.randn(2, 4, 3, generator=generator(2))
    (hard.vectors * weight).sum().backward()
    through_hard = logits.grad.clone()
    logits.grad = None
    (layer(logits, noise, 0.7).vectors * weight).sum().backward()
    torch.testing.assert_close(through_hard, logits.grad)
    assert torch.equal(hard.ids, logits.argmax(-1))


def test_the_divergence_is_zero_for_even_use_and_grows_with_one_code() -> None:
    even = torch.eye(4).unsqueeze(0) * 50  # each token another code, for certain
    assert float(divergence_of_uniform(even)) == pytest.approx(0, abs=1e-5)
    mean = torch.tensor([0.7, 0.2, 0.05, 0.05])
    expected = sum(-math.log(p) / 4 for p in mean.tolist()) - math.log(4)
    assert float(divergence_of_uniform(mean.log().expand(2, 6, 4))) == pytest.approx(expected, rel=1e-5)


def test_golden_divergence_of_point_bert(shared: Path) -> None:
    golden = np.load(shared / "golden" / "point_bert_dvae.npz")
    loss = divergence_of_uniform(torch.from_numpy(golden["logits"]))
    assert float(loss) == pytest.approx(float(golden["loss_kl"]), rel=1e-5)


def test_noise_has_the_distribution_and_does_not_depend_on_the_batch() -> None:
    noise = gumbel_noise((100, 20, 30), generator(0))
    assert noise.isfinite().all()
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.02)
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, abs=0.04)
    both = gumbel_noise((2, 3, 4), [generator(1), generator(2)])
    assert torch.equal(both[1:], gumbel_noise((1, 3, 4), [generator(2)]))


def test_the_schedule() -> None:
    assert [round(cosine_between(1, 0, step, 4), 4) for step in (-1, 0, 2, 4, 9)] == [1, 1, 0.5, 0, 0]
    assert cosine_between(0, 0.1, 1, 4) == pytest.approx(0.1 - 0.1 * (1 + math.cos(math.pi / 4)) / 2)


def test_bad_temperature() -> None:
    with pytest.raises(ValueError, match="temperature 0"):
        GumbelQuantizer(2, 2)(torch.zeros(1, 1, 2), temperature=0)
