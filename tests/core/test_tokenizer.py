"""Tokenizers as trained models and as targets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.masking import Mask
from core.quantizers import VectorQuantizer, usage
from core.random import Randomness
from core.tokenizer import TokenIds, Tokenizer, TokenizerOutput, count_codes
from core.training.data import Microbatch
from core.training.job import tokenizer_step


class Rounding(Tokenizer):
    """Numbers to the nearest of three codes; noise is added before."""

    def __init__(self) -> None:
        super().__init__()
        self.quantizer = VectorQuantizer(3, 1)
        self.quantizer.codebook.copy_(torch.tensor([[-1.0], [0.0], [1.0]]))
        self.scale = nn.Parameter(torch.ones(()))

    @property
    def codes(self) -> int:
        return 3

    def draw_noise(self, batch: Tensor, randomness: Randomness = None) -> Tensor:
        assert isinstance(randomness, list)
        return torch.stack([torch.rand(batch.shape[1], generator=g) for g in randomness])

    def forward(self, batch: Tensor, noise: Tensor | None = None) -> TokenizerOutput:
        features = batch * self.scale + (0 if noise is None else noise)
        found = self.quantizer(features.unsqueeze(-1))
        error = (found.vectors.squeeze(-1) - batch).square().mean()
        return TokenizerOutput(error, {"error": error.detach()}, found.ids, found.vectors.squeeze(-1))

    def ids(self, inputs: Tensor) -> Tensor:
        return self.quantizer.encode((inputs * self.scale).unsqueeze(-1))


BATCH = torch.tensor([[-2.0, 0.1, 3.0], [0.9, -0.2, 0.3]])


def test_ids_of_the_hidden_tokens_are_the_target() -> None:
    mask = Mask(torch.tensor([[True, False, True], [False, True, True]]))
    assert TokenIds(Rounding())(BATCH, mask).tolist() == [0, 2, 1, 1]


def test_a_target_is_a_copy_that_never_learns() -> None:
    tokenizer = Rounding()
    target = TokenIds(tokenizer).train()
    assert not target.module.training
    assert not any(p.requires_grad for p in target.parameters())
    with torch.no_grad():
        tokenizer.scale.fill_(-1.0)
    everything = Mask(torch.ones(2, 3, dtype=torch.bool))
    assert target(BATCH, everything).tolist() == [0, 1, 2, 2, 1, 1]


def test_counting_leaves_codebook_and_mode_alone() -> None:
    tokenizer = Rounding().train()
    before = tokenizer.quantizer.codebook.clone()
    counts = count_codes(tokenizer, [BATCH, BATCH[:1]])
    assert counts.tolist() == [2, 4, 3]
    assert tokenizer.training
    assert torch.equal(tokenizer.quantizer.codebook, before)
    assert usage(counts).codes == 3


def test_the_step_draws_noise_by_sample() -> None:
    model = Rounding().eval()
    places = [(4, 7), (4, 9)]
    loss, parts = tokenizer_step(model)(model, Microbatch(BATCH, places), 3)
    noise = model.draw_noise(BATCH, Microbatch(BATCH, places).generators(3, "noise"))
    assert torch.equal(loss, model(BATCH, noise).loss)
    assert not torch.equal(loss, model(BATCH).loss)
    assert set(parts) == {"loss_error"}
    alone, _ = tokenizer_step(model)(model, Microbatch(BATCH[1:], places[1:]), 3)
    assert torch.equal(alone, model(BATCH[1:], noise[1:]).loss)
