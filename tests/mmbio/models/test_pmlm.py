"""PMLM: pairs are drawn of hidden residues of one sequence, and their joint classes are scored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_mmbio import RECIPE, command, random_proteins, write_recipe
from torch.nn import functional as F

from core.random import generator
from core.token_masks import TokenMask
from mmbio.config import PMLMConfig
from mmbio.models import load_model
from mmbio.models.pmlm import LETTERS, PMLM, PairMask, draw_pairs, pair_classes, pair_loss
from mmbio.proteins.alphabet import ESM
from mmbio.sequences import Sequences, join


def model(**settings: float) -> PMLM:
    torch.manual_seed(0)
    return PMLM(PMLMConfig(16, 1, 2, **settings))  # type: ignore[arg-type]


def batch(count: int = 3) -> Sequences:
    return join([ESM.encode(text) for text in random_proteins(count)])


@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=4), most=st.integers(1, 30), seed=st.integers(0, 99))
def test_pairs_are_of_one_sequence_and_different(counts: list[int], most: int, seed: int) -> None:
    pairs = draw_pairs(counts, most, [generator(seed, number) for number in range(len(counts))])
    sample = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert torch.equal(sample[pairs[:, 0]], sample[pairs[:, 1]])
    assert len(pairs.unique(dim=0)) == len(pairs)
    expected = [min(n * (n - 1) // 2, most) for n in counts]
    assert sample[pairs[:, 0]].bincount(minlength=len(counts)).tolist() == expected
    begin = 0
    for number, count in enumerate(counts):  # a sequence alone draws the same
        alone = draw_pairs([count], most, [generator(seed, number)])
        assert torch.equal(alone + begin, pairs[sample[pairs[:, 0]] == number])
        begin += count


def test_pairs_are_drawn_with_equal_chances() -> None:
    found = torch.zeros(5, 5)
    for seed in range(2000):
        first, second = draw_pairs([5], 2, generator(seed)).unbind(1)
        found[first, second] += 1
    share = found[torch.triu_indices(5, 5, 1).unbind()] / 2000
    assert share.tolist() == pytest.approx([0.2] * 10, abs=0.05)


def test_classes_and_loss_by_hand() -> None:
    network, some = model(), batch()
    mask = network.draw_mask(some, [generator(0, number) for number in range(3)])
    output = network(some, mask)
    true = some.ids[mask.hidden]
    by_hand = [LETTERS.index(int(true[i])) * 24 + LETTERS.index(int(true[j])) for i, j in mask.pairs.tolist()]
    assert output.targets["pair"].tolist() == by_hand
    hidden = output.latent[mask.hidden]
    head = network.objectives["pair"].head
    i, j = mask.pairs[0].tolist()
    joined = torch.cat([head.first.weight, head.second.weight], 1) @ torch.cat([hidden[i], hidden[j]])
    logits = head.out(head.norm(F.gelu(joined + head.first.bias)))
    torch.testing.assert_close(output.predictions["pair"][0], logits)
    torch.testing.assert_close(output.loss, output.parts["lm"] + output.parts["pair"])
    half = model(pair_weight=0.5)(some, mask)
    torch.testing.assert_close(half.loss, half.parts["lm"] + 0.5 * half.parts["pair"])
    assert output.parts["pair"].item() == pytest.approx(
        F.cross_entropy(output.predictions["pair"], torch.tensor(by_hand)).item()
    )


def test_a_mask_can_be_given_again() -> None:
    network, some = model(pairs=5), batch()
    draws = [[generator(0, number) for number in range(3)] for _ in range(2)]
    mask, again = (network.draw_mask(some, one) for one in draws)
    assert torch.equal(mask.pairs, again.pairs)
    assert mask.counts.ge(4).any()
    moved = mask.to("cpu")
    assert isinstance(moved, PairMask)
    assert torch.equal(network(some, moved).loss, network(some, again).loss)
    with pytest.raises(ValueError, match="pairs"):
        PairMask(mask.hidden, some.offsets, mask.written, mask.pairs[0])


def test_a_batch_without_pairs_has_no_loss_of_pairs() -> None:
    network, some = model(), join([ESM.encode("MKTA"), ESM.encode("GA")])
    mask = network.draw_mask(some, generator(0))
    assert mask.pairs.shape == (0, 2)
    output = network(some, mask)
    assert output.parts["pair"] == 0
    output.loss.backward()
    assert pair_loss(torch.zeros(0, 576), pair_classes(some, mask)) == 0


def test_the_pair_head_learns_what_two_single_heads_cannot() -> None:
    """Two residues that are always equal, any of two letters: each alone is a coin, the pair only two of four."""
    draws = torch.randint(2, (64,), generator=generator(0))
    texts = ["WW" + "CC" * int(d) + "HH" * (1 - int(d)) + "WW" for d in draws]
    some = join([ESM.encode(text) for text in texts])
    hidden = torch.tensor([False, False, False, True, True, False, False, False] * 64)
    pairs = torch.arange(128).view(64, 2)
    mask = PairMask(hidden, some.offsets, torch.full((128,), ESM.mask_id), pairs)
    network = model()
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(60):
        output = network(some, mask)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert output.parts["lm"].item() == pytest.approx(0.69, abs=0.05)
    assert output.parts["pair"].item() == pytest.approx(0.69, abs=0.05)  # not 1.39, as the product of both


def test_the_command(tmp_path: Path, proteins: str) -> None:
    values = {**RECIPE, "system": "pmlm", "model": {**RECIPE["model"], "pairs": 20}}  # type: ignore[dict-item]
    recipe = write_recipe(tmp_path / "r.yaml", values, data=proteins, train={"epochs": 1})
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status == 0, said.err
    row = (tmp_path / "run/metrics.jsonl").read_text().splitlines()[0]
    assert "loss_pair" in row
    assert "loss_lm" in row
    found = load_model(tmp_path / "run")
    assert isinstance(found, PMLM)
    assert found.config.pairs == 20
    assert len(found.attention_maps(batch(1))) == 1


def test_no_pairs_are_scored_under_a_mask_that_names_none() -> None:
    model = PMLM(PMLMConfig(dim=16, depth=1, heads=2))
    batch = join([ESM.encode("MKTAYIAKQRQISFVK" * 3)])
    mask = model.draw_mask(batch, generator(0))
    plain = TokenMask(mask.hidden, mask.offsets, mask.written)
    output = model(batch, plain)
    assert output.predictions["pair"].shape == (0, 24 * 24)
    assert float(output.parts["pair"]) == 0
    assert torch.equal(output.parts["lm"], model(batch, mask).parts["lm"])
    output.loss.backward()
