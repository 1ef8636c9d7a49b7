"""Masks of token ids: exact counts, nothing special touched, shares of what hidden tokens become, generators a sequence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.masking import count_hidden
from core.random import generator
from core.token_masks import (
    Corruption,
    TokenMask,
    contiguous_tokens,
    given_tokens,
    random_tokens,
    span_tokens,
)

MASK, SPECIAL = 9, 8  # ids 0 to 5 are drawn, 6 and 7 are letters that are never drawn
CORRUPTION = Corruption(MASK, tuple(range(6)))
KINDS: dict[str, Callable[..., TokenMask]] = {
    "random": random_tokens,
    "span": span_tokens,
    "contiguous": contiguous_tokens,
}
LENGTHS = st.lists(st.integers(0, 30), min_size=1, max_size=5)
RATIOS = st.sampled_from([0.1, 0.15, 0.3, 0.5, 0.9])


def tokens(lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Ids with special ones at both ends and here and there, offsets, and which may be hidden."""
    draws = generator(seed, "tokens")
    ids = []
    for length in lengths:
        inner = torch.randint(8, (length,), generator=draws)
        inner[torch.rand(length, generator=draws) < 0.1] = SPECIAL
        ids.append(torch.cat([torch.tensor([SPECIAL]), inner, torch.tensor([SPECIAL])]))
    offsets = torch.tensor([0, *(len(i) for i in ids)]).cumsum(0)
    packed = torch.cat(ids)
    return packed, offsets, packed != SPECIAL


def generators(count: int, seed: int = 0) -> list[torch.Generator]:
    return [generator(seed, number) for number in range(count)]


@pytest.mark.parametrize("kind", list(KINDS))
@given(lengths=LENGTHS, ratio=RATIOS, seed=st.integers(0, 1000))
def test_counts_are_exact_and_special_tokens_untouched(kind: str, lengths: list[int], ratio: float, seed: int) -> None:
    ids, offsets, usable = tokens(lengths, seed)
    before = ids.clone()
    mask = KINDS[kind](ids, offsets, usable, ratio, CORRUPTION, generators(len(lengths), seed))
    expected = [count_hidden(int(part.sum()), ratio) for part in usable.split(offsets.diff().tolist())]
    assert mask.counts.tolist() == expected
    assert not mask.hidden[~usable].any()
    read = mask.write(ids)
    assert torch.equal(ids, before)
    assert torch.equal(read[~mask.hidden], ids[~mask.hidden])
    changed = read[mask.hidden & (read != ids)]
    assert set(changed.tolist()) <= {MASK, *range(6)}
    assert torch.equal(read[mask.hidden], mask.written)


@pytest.mark.parametrize("kind", list(KINDS))
@given(lengths=LENGTHS, ratio=RATIOS, seed=st.integers(0, 1000))
def test_a_sequence_is_masked_alike_in_any_batch(kind: str, lengths: list[int], ratio: float, seed: int) -> None:
    ids, offsets, usable = tokens(lengths, seed)
    together = KINDS[kind](ids, offsets, usable, ratio, CORRUPTION, generators(len(lengths), seed))
    read, sizes = together.write(ids), offsets.diff().tolist()
    for number, (part, may) in enumerate(zip(ids.split(sizes), usable.split(sizes), strict=True)):
        bounds = torch.tensor([0, len(part)])
        alone = KINDS[kind](part, bounds, may, ratio, CORRUPTION, [generators(len(lengths), seed)[number]])
        assert torch.equal(alone.hidden, together.hidden[offsets[number] : offsets[number + 1]])
        assert torch.equal(alone.write(part), read[offsets[number] : offsets[number + 1]])


@pytest.mark.parametrize("kind", list(KINDS))
def test_draws_come_from_the_generators_alone(kind: str) -> None:
    ids, offsets, usable = tokens([40, 3, 25])
    draw = partial(KINDS[kind], ids, offsets, usable, 0.3, CORRUPTION)
    state = torch.get_rng_state()
    first, again, other = draw(generators(3)), draw(generators(3)), draw(generators(3, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.hidden, again.hidden)
    assert torch.equal(first.written, again.written)
    assert not torch.equal(first.hidden, other.hidden)
    torch.manual_seed(3)
    default = draw()
    torch.manual_seed(3)
    assert torch.equal(draw().hidden, default.hidden)
    one = draw(generator(5))
    assert torch.equal(draw(generator(5)).written, one.written)


@pytest.mark.parametrize("kind", list(KINDS))
def test_shares_of_what_hidden_tokens_become(kind: str) -> None:
    """80 % mask token, 10 % random, 10 % their own; random ones may hit their own id by chance."""
    samples = 3000
    ids = torch.full((samples * 20,), 7)  # a letter that is never drawn, so that what stays can be told
    offsets = torch.arange(0, len(ids) + 1, 20)
    mask = KINDS[kind](ids, offsets, torch.ones_like(ids, dtype=torch.bool), 0.25, CORRUPTION, generator(0))
    written = mask.written
    groups = samples * (5 if kind == "random" else 2 if kind == "span" else 1)  # independent decisions, about
    for share, found in ((0.8, written == MASK), (0.1, written < 6), (0.1, written == 7)):
        assert found.float().mean().item() == pytest.approx(share, abs=5 * (share * (1 - share) / groups) ** 0.5)
    drawn = written[written < 6].bincount(minlength=6) / int((written < 6).sum())
    assert drawn.tolist() == pytest.approx([1 / 6] * 6, abs=0.04)
    places = mask.hidden.view(samples, 20).float().mean(0)
    if kind == "random":
        assert places.tolist() == pytest.approx([0.25] * 20, abs=0.04)
    else:
        assert 0.05 < places.min() < places.max() < 0.4


@pytest.mark.parametrize(
    ("shares", "expected"), [((1.0, 0.0), {MASK}), ((0.0, 1.0), set(range(6))), ((0.0, 0.0), {6, 7})]
)
def test_corners_of_the_shares(shares: tuple[float, float], expected: set[int]) -> None:
    ids = torch.tensor([6, 7] * 100)
    usable, offsets = torch.ones(200, dtype=torch.bool), torch.tensor([0, 200])
    corruption = CORRUPTION._replace(mask_share=shares[0], random_share=shares[1])
    mask = random_tokens(ids, offsets, usable, 0.5, corruption, generator(0))
    assert set(mask.written.tolist()) == expected


def runs(hidden: Tensor) -> list[int]:
    """Lengths of the runs of hidden tokens."""
    edges = torch.cat([torch.zeros(1), hidden.float(), torch.zeros(1)]).diff()
    return ((edges == -1).nonzero() - (edges == 1).nonzero()).flatten().tolist()


def test_spans_are_geometric_and_cut_at_the_longest() -> None:
    """One span a sequence is most often whole: of the many that follow the first, the last is cut to the count."""
    lengths, sizes = [4000] * 30, []
    ids, offsets = torch.zeros(sum(lengths), dtype=torch.long), torch.arange(0, sum(lengths) + 1, 4000)
    mask = span_tokens(ids, offsets, ids == 0, 0.01, CORRUPTION, generators(30), stop=0.2, longest=10)
    for part in mask.hidden.split(lengths):
        sizes += runs(part)
    assert max(sizes) <= 20  # two that touch
    mean = sum(0.8**n for n in range(10))  # of a geometric length that is cut at ten
    assert sum(sizes) / len(sizes) == pytest.approx(mean, rel=0.15)
    single = span_tokens(ids, offsets, ids == 0, 0.01, CORRUPTION, generators(30), stop=1.0)
    assert single.counts.tolist() == [40] * 30
    assert sum(runs(single.hidden)) / len(runs(single.hidden)) < 1.1


def test_what_a_run_becomes_is_decided_once() -> None:
    ids, offsets = torch.full((600,), 7), torch.arange(0, 601, 20)
    mask = contiguous_tokens(ids, offsets, ids == 7, 0.3, CORRUPTION, generators(30))
    fates = []
    for hidden, read in zip(mask.hidden.split(20), mask.write(ids).split(20), strict=True):
        assert runs(hidden) == [6]
        fates.append({"mask" if i == MASK else "kept" if i == 7 else "drawn" for i in read[hidden].tolist()})
    assert all(len(fate) == 1 for fate in fates)
    assert set.union(*fates) == {"mask", "drawn", "kept"}


def test_what_a_span_becomes_is_decided_once() -> None:
    """Between two hidden neighbours the fate changes only where two spans touch, which is rare among many tokens."""
    ids, offsets = torch.full((50_000,), 7), torch.tensor([0, 50_000])
    mask = span_tokens(ids, offsets, ids == 7, 0.05, CORRUPTION, generator(0), stop=0.1)
    read = mask.write(ids)
    fate = torch.where(read == MASK, 0, torch.where(read == 7, 1, 2))
    neighbours = mask.hidden[1:] & mask.hidden[:-1]
    changes = (fate[1:] != fate[:-1]) & neighbours
    assert int(neighbours.sum()) > 1500
    assert int(changes.sum()) < 0.03 * int(neighbours.sum())


def test_ids_within_a_random_span_differ() -> None:
    ids, offsets = torch.full((400,), 7), torch.tensor([0, 400])
    corruption = CORRUPTION._replace(mask_share=0.0, random_share=1.0)
    mask = contiguous_tokens(ids, offsets, ids == 7, 0.3, corruption, generator(0))
    assert len(set(mask.written.tolist())) == 6


def test_a_contiguous_run_may_lie_anywhere() -> None:
    ids, offsets = torch.zeros(4000 * 5, dtype=torch.long), torch.arange(0, 20001, 5)
    mask = contiguous_tokens(ids, offsets, ids == 0, 0.4, CORRUPTION, generator(0))
    starts = mask.hidden.view(-1, 5).float().argmax(1).bincount(minlength=5) / 4000
    assert starts.tolist() == pytest.approx([0.25] * 4 + [0.0], abs=0.03)


def test_given_tokens_are_all_behind_the_mask_token() -> None:
    ids, offsets, usable = tokens([5, 2])
    mask = given_tokens(ids, offsets, usable, CORRUPTION)
    assert torch.equal(mask.hidden, usable)
    assert set(mask.written.tolist()) == {MASK}
    assert torch.equal(mask.to("cpu").written, mask.written)


@pytest.mark.parametrize("kind", list(KINDS))
def test_batches_without_anything_to_hide(kind: str) -> None:
    ids, offsets = torch.full((4,), SPECIAL), torch.tensor([0, 2, 4])
    mask = KINDS[kind](ids, offsets, ids != SPECIAL, 0.5, CORRUPTION, generators(2))
    assert mask.counts.tolist() == [0, 0]
    assert torch.equal(mask.write(ids), ids)


@pytest.mark.parametrize("wrong", [{"stop": 0.0}, {"stop": 1.5}, {"longest": 0}])
def test_spans_that_make_no_sense(wrong: dict[str, Any]) -> None:
    ids, offsets, usable = tokens([5])
    with pytest.raises(ValueError, match="expected a chance in"):
        span_tokens(ids, offsets, usable, 0.5, CORRUPTION, None, **wrong)


def test_ids_that_do_not_fit_the_mask() -> None:
    with pytest.raises(ValueError, match="1 ids to write for 2 hidden tokens"):
        TokenMask(torch.tensor([True, True]), torch.tensor([0, 2]), torch.tensor([1]))
    ids, offsets, usable = tokens([5])
    with pytest.raises(ValueError, match="a mask ratio"):
        random_tokens(ids, offsets, usable, 1.0, CORRUPTION)
