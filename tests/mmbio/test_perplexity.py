"""Held-out scores against a count by hand, and what is held out."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_mmbio import random_proteins
from torch.nn import functional as F

from core.random import generator
from mmbio.config import ESM2Config, TextConfig
from mmbio.data.sets import SequenceSet
from mmbio.data.tokens import TokenData, split_held_out
from mmbio.models.esm2 import ESM2
from mmbio.perplexity import batches, score_lm
from mmbio.report import token_table


def proteins(count: int = 12) -> SequenceSet:
    return SequenceSet("some", "protein", tuple(random_proteins(count)))


def small() -> ESM2:
    torch.manual_seed(0)
    return ESM2(ESM2Config(16, 1, 2))


def test_the_score_is_a_count_over_single_sequences() -> None:
    model, data = small(), proteins()
    tokens = TokenData(data, range(len(data)), model.vocabulary, 40)
    score = score_lm(model, tokens)
    assert model.training  # as it was
    model.eval()
    losses, right, hidden = [], 0, 0
    for index in range(len(data)):
        batch = tokens.collate([tokens.sample(index, generator(0, index, "held out"))])
        mask = model.draw_mask(batch, [generator(0, index, "held out mask")])
        logits = model(batch, mask).predictions["lm"]
        ids = batch.ids[mask.hidden_index]
        losses.append(F.cross_entropy(logits, ids, reduction="sum"))
        right += int((logits.argmax(-1) == ids).sum())
        hidden += len(ids)
    assert score.tokens == hidden == sum(score.hidden)
    assert score.loss == pytest.approx(float(sum(losses).detach()) / hidden, rel=1e-5)
    assert score.perplexity == pytest.approx(math.exp(score.loss))
    assert sum(score.right) == right == round(score.accuracy * hidden)


def test_it_is_the_same_every_time_and_in_batches_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    tokens = TokenData(proteins(), range(12), model.vocabulary, 40)
    assert score_lm(model, tokens) == score_lm(model, tokens)
    whole = score_lm(model, tokens)
    monkeypatch.setattr("mmbio.perplexity.BATCH_TOKENS", 50)
    assert len(list(batches(tokens))) > 3
    parts = score_lm(model, tokens)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    assert parts.hidden == whole.hidden


def test_batches_are_made_when_they_are_asked_for() -> None:
    tokens = TokenData(proteins(), range(12), small().vocabulary, 40)
    batch, draws = next(batches(tokens))
    assert len(batch) == len(draws) == 12


def test_a_model_that_knows_the_answer_has_perplexity_one() -> None:
    model = small()
    data = SequenceSet("same", "protein", ("A" * 30,) * 4)
    with torch.no_grad():
        for parameter in model.lm_head.parameters():
            parameter.zero_()
        model.lm_head.bias[model.vocabulary.ids["A"]] = 50.0
    score = score_lm(model, TokenData(data, range(4), model.vocabulary, 40))
    assert score.perplexity == pytest.approx(1, abs=1e-4)
    assert score.accuracy == 1
    table = token_table(score, model.token_names)
    assert table.rows == (("A", 16, "1.000"),)  # 4 of 30 in each of 4 sequences


def test_what_is_held_out_is_neither_trained_on_nor_changed_by_a_seed() -> None:
    data = proteins(50)
    train, held = split_held_out(data, TextConfig(held_out=0.2))
    assert len(held) == 10
    assert sorted([*train, *held]) == list(range(50))
    assert (train, held) == split_held_out(data, TextConfig(held_out=0.2))
    given = SequenceSet("given", "protein", data.texts, held_out=(3, 7, 9))
    train, held = split_held_out(given, TextConfig(held_out=0.2, held_out_most=2))
    assert len(held) == 2
    assert set(held) < {3, 7, 9}
    assert not set(train) & {3, 7, 9}
    assert split_held_out(data, TextConfig(held_out=0)) == (list(range(50)), [])
