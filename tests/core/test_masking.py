"""Masks: exact counts, partition, selection and merging in all shapes, independence of the batch."""

from __future__ import annotations

from decimal import Decimal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.masking import Mask, block_mask, count_hidden, counted_mask_packed, random_mask, random_mask_packed
from core.random import generator

LENGTHS = st.integers(2, 300)
PERCENT = st.integers(1, 99)
SAMPLES = st.lists(st.integers(1, 30), min_size=1, max_size=8).filter(lambda lengths: max(lengths) > 1)


def three_masks() -> list[Mask]:
    """Dense even, dense uneven, packed (with samples that hide nothing)."""
    uneven = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0], [1, 1, 0, 1, 1]]).bool()
    return [
        random_mask((3, 5), 0.6, generator(0)),
        Mask(uneven),
        random_mask_packed([1, 4, 7, 1, 3], 0.5, generator(0)),
    ]


def tokens_for(mask: Mask, *rest: int) -> torch.Tensor:
    return torch.randn(*mask.hidden.shape, *rest, generator=generator("tokens"), dtype=torch.float64)


@given(length=LENGTHS, percent=PERCENT)
def test_count_is_the_floor_of_the_decimal_product(length: int, percent: int) -> None:
    floor = percent * length // 100
    assert count_hidden(length, percent / 100) == min(max(floor, 1), length - 1)


@given(length=LENGTHS, ratio=st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_count_leaves_one_visible_and_one_hidden_for_any_float(length: int, ratio: float) -> None:
    count = count_hidden(length, ratio)
    assert 1 <= count <= length - 1
    assert count == min(max(int(Decimal(repr(ratio)) * length), 1), length - 1)


def test_counts_at_the_edges() -> None:
    assert count_hidden(10, 0.7) == 7  # binary floating point gives 6
    assert count_hidden(10, 0.9) == 9
    assert count_hidden(10, 0.99) == 9
    assert count_hidden(64, 0.6) == 38
    assert count_hidden(10, 0.01) == 1
    assert count_hidden(10, 0) == 0
    assert count_hidden(1, 0.9) == 0
    assert count_hidden(0, 0.5) == 0
    for ratio in (-0.1, 1.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"in \[0, 1\)"):
            count_hidden(10, ratio)


@given(batch=st.integers(1, 6), length=LENGTHS, percent=PERCENT)
def test_random_mask_partitions_the_tokens(batch: int, length: int, percent: int) -> None:
    mask = random_mask((batch, length), percent / 100, generator(batch, length, percent))
    assert mask.even
    assert not mask.packed
    assert len(mask) == batch
    assert mask.counts.tolist() == [count_hidden(length, percent / 100)] * batch
    together = torch.cat([mask.visible_index, mask.hidden_index]).sort().values
    assert torch.equal(together, torch.arange(batch * length))


@given(lengths=SAMPLES, percent=PERCENT)
def test_packed_mask_counts_every_sample_on_its_own(lengths: list[int], percent: int) -> None:
    mask = random_mask_packed(lengths, percent / 100, generator(percent))
    assert mask.packed
    assert mask.lengths.tolist() == lengths
    assert mask.counts.tolist() == [count_hidden(n, percent / 100) for n in lengths]
    assert mask.visible_offsets.diff().tolist() == [n - count_hidden(n, percent / 100) for n in lengths]
    assert mask.hidden_offsets.diff().tolist() == mask.counts.tolist()


@pytest.mark.parametrize("mask", three_masks(), ids=["even", "uneven", "packed"])
@pytest.mark.parametrize("rest", [(), (4,), (4, 3)])
def test_selection_is_what_boolean_indexing_gives(mask: Mask, rest: tuple[int, ...]) -> None:
    tokens = tokens_for(mask, *rest)
    before = tokens.clone()
    visible, hidden = mask.select_visible(tokens), mask.select_hidden(tokens)
    assert torch.equal(visible.reshape(-1, *rest), tokens[~mask.hidden])
    assert torch.equal(hidden.reshape(-1, *rest), tokens[mask.hidden])
    if mask.even:
        assert visible.shape == (3, 2, *rest)
        assert hidden.shape == (3, 3, *rest)
    assert torch.equal(tokens, before)


@pytest.mark.parametrize("mask", three_masks(), ids=["even", "uneven", "packed"])
def test_offsets_say_where_the_samples_of_a_selection_start(mask: Mask) -> None:
    sample = torch.repeat_interleave(torch.arange(len(mask)), mask.lengths)
    for offsets, index in (
        (mask.visible_offsets, mask.visible_index),
        (mask.hidden_offsets, mask.hidden_index),
    ):
        for i in range(len(mask)):
            assert (sample[index[offsets[i] : offsets[i + 1]]] == i).all()
        assert offsets[-1] == len(index)


@pytest.mark.parametrize("mask", three_masks(), ids=["even", "uneven", "packed"])
def test_merge_inverts_selection(mask: Mask) -> None:
    tokens = tokens_for(mask, 4)
    before = tokens.clone()
    assert torch.equal(mask.merge(mask.select_visible(tokens), mask.select_hidden(tokens)), tokens)
    token = torch.randn(4, dtype=torch.float64)
    filled = mask.merge(mask.select_visible(tokens), token)
    assert torch.equal(filled, mask.fill(tokens, token))
    assert torch.equal(filled, torch.where(mask.hidden.unsqueeze(-1), token, tokens))
    assert torch.equal(tokens, before)
    filled.zero_()
    assert torch.equal(tokens, before)


@pytest.mark.parametrize("mask", three_masks(), ids=["even", "uneven", "packed"])
def test_gradients_flow_through_merge_and_fill(mask: Mask) -> None:
    tokens, token = (
        tokens_for(mask, 2).requires_grad_(),
        torch.randn(2, dtype=torch.float64, requires_grad=True),
    )
    assert torch.autograd.gradcheck(lambda t, m: mask.merge(mask.select_visible(t), m), (tokens, token))
    assert torch.autograd.gradcheck(lambda t: mask.merge(mask.select_visible(t), mask.select_hidden(t)), tokens)
    assert torch.autograd.gradcheck(mask.fill, (tokens, token))
    (shared,) = torch.autograd.grad(mask.fill(tokens, token).sum(), token)
    assert torch.equal(shared, torch.full((2,), float(mask.hidden.sum()), dtype=torch.float64))


def test_ratio_zero_hides_nothing_and_can_be_used() -> None:
    for mask in (random_mask((2, 5), 0), block_mask(torch.randn(2, 5, 3), 0.0)):
        tokens = torch.randn(2, 5, 3)
        assert not mask.hidden.any()
        assert torch.equal(mask.select_visible(tokens), tokens)
        assert mask.select_hidden(tokens).shape == (2, 0, 3)
        assert torch.equal(mask.merge(tokens, torch.zeros(3)), tokens)
    packed = random_mask_packed([1, 4], 0)
    assert packed.select_hidden(torch.randn(5, 3)).shape == (0, 3)


def test_single_tokens() -> None:
    with pytest.raises(ValueError, match="cannot be split"):
        random_mask((2, 1), 0.5)
    with pytest.raises(ValueError, match="cannot be split"):
        block_mask(torch.zeros(2, 1, 3), 0.5)
    with pytest.raises(ValueError, match="no sample has two"):
        random_mask_packed([1, 1], 0.5)
    assert not random_mask((2, 1), 0).hidden.any()
    assert random_mask_packed([1, 2], 0.9).counts.tolist() == [0, 1]


def test_given_counts() -> None:
    lengths, counts = [4, 1, 3], [4, 0, 2]
    mask = counted_mask_packed(lengths, counts, [generator(n) for n in range(3)])
    assert mask.counts.tolist() == counts
    assert torch.equal(mask.hidden[5:], counted_mask_packed([3], [2], [generator(2)]).hidden)
    with pytest.raises(ValueError, match="more than all"):
        counted_mask_packed([2], [3])


def test_unusable_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="bool"):
        Mask(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="with offsets"):
        Mask(torch.zeros(6).bool())
    with pytest.raises(ValueError, match="offsets end at 5"):
        Mask(torch.zeros(6).bool(), torch.tensor([0, 5]))
    with pytest.raises(ValueError, match="at least one token"):
        random_mask_packed([3, 0], 0.5)
    with pytest.raises(ValueError, match="at least one token"):
        random_mask_packed([], 0.5)
    with pytest.raises(ValueError, match="does not fit tokens"):
        random_mask((2, 4), 0.5).select_visible(torch.zeros(2, 5, 3))
    with pytest.raises(ValueError, match="not sliced"):
        random_mask_packed([3, 3], 0.5)[:1]
    for ratio in (1.0, (0.2, 1.0), (0.5, 0.2), (-0.1, 0.5)):
        with pytest.raises(ValueError, match=r"in \[0, 1\)"):
            block_mask(torch.randn(2, 4, 3), ratio)


def test_same_generator_same_mask() -> None:
    positions = torch.randn(4, 20, 3)
    for draw in (
        lambda g: random_mask((4, 20), 0.5, g),
        lambda g: random_mask_packed([5, 20, 7], 0.5, g),
        lambda g: block_mask(positions, (0.2, 0.6), g),
    ):
        assert torch.equal(draw(generator(1)).hidden, draw(generator(1)).hidden)
        assert not torch.equal(draw(generator(1)).hidden, draw(generator(2)).hidden)


def test_with_a_generator_a_sample_the_batch_does_not_matter() -> None:
    lengths = [5, 20, 7, 12, 9]
    positions = torch.randn(5, 20, 3)
    dense = random_mask((5, 20), 0.5, [generator(i) for i in range(5)])
    packed = random_mask_packed(lengths, 0.5, [generator(i) for i in range(5)])
    block = block_mask(positions, (0.2, 0.6), [generator(i) for i in range(5)])
    assert packed.offsets is not None
    for i in range(5):
        assert torch.equal(random_mask((1, 20), 0.5, [generator(i)]).hidden[0], dense.hidden[i])
        alone = random_mask_packed([lengths[i]], 0.5, [generator(i)])
        assert torch.equal(alone.hidden, packed.hidden[packed.offsets[i] : packed.offsets[i + 1]])
        assert torch.equal(block_mask(positions[i : i + 1], (0.2, 0.6), [generator(i)]).hidden[0], block.hidden[i])
    for wrong in ([generator(0)], [generator(i) for i in range(6)]):
        with pytest.raises(ValueError, match="generators for 5 samples"):
            random_mask((5, 20), 0.5, wrong)
        with pytest.raises(ValueError, match="generators for 5 samples"):
            random_mask_packed(lengths, 0.5, wrong)


def test_packed_samples_of_equal_length_are_masked_as_dense_ones() -> None:
    dense = random_mask((6, 11), 0.4, generator(3))
    packed = random_mask_packed([11] * 6, 0.4, generator(3))
    assert torch.equal(dense.hidden.flatten(), packed.hidden)


def test_random_masks_are_uniform() -> None:
    """All C(5, 2) sets of hidden tokens are equally likely: chi-square with 9 degrees of freedom."""
    draws = 20000
    for hidden in (
        random_mask((draws, 5), 0.4, generator("uniform")).hidden,
        random_mask_packed([5] * draws, 0.4, generator("packed")).hidden.view(draws, 5),
    ):
        _, counts = (hidden * 2 ** torch.arange(5)).sum(1).unique(return_counts=True)
        assert len(counts) == 10
        chi_square = ((counts - draws / 10) ** 2 / (draws / 10)).sum()
        assert chi_square < 27.9  # exceeded with probability .001


def test_block_mask_hides_the_nearest_to_one_token() -> None:
    positions = torch.randn(40, 12, 3, generator=generator(5))
    mask = block_mask(positions, 0.5, generator(6))
    seeds = set()
    for places, hidden in zip(positions, mask.hidden, strict=True):
        nearest = [set((places - p).norm(dim=1).argsort()[:6].tolist()) for p in places]
        own = set(hidden.nonzero().squeeze(1).tolist())
        assert own in nearest
        seeds.add(nearest.index(own))
    assert len(seeds) > 8  # the token it starts from is drawn, too
    assert mask.even


def test_block_mask_breaks_ties_by_index_and_keeps_the_seed() -> None:
    mask = block_mask(torch.zeros(3, 6, 3), 0.5, generator(0))
    assert mask.hidden.tolist() == [[True] * 3 + [False] * 3] * 3


def test_block_mask_draws_its_share_from_a_range() -> None:
    mask = block_mask(torch.randn(4000, 20, 3, generator=generator(7)), (0.25, 0.45), generator(8))
    counts = mask.counts.bincount(minlength=20)
    assert counts.nonzero().squeeze(1).tolist() == [5, 6, 7, 8]  # .25 * 20 to below .45 * 20
    assert ((counts[5:9] - 1000).abs() < 150).all()
    assert not mask.even
    assert mask.select_visible(torch.zeros(4000, 20, 2)).ndim == 2


def test_slices_and_devices() -> None:
    mask = random_mask((4, 6), 0.5, generator(0))
    assert torch.equal(mask[1:3].hidden, mask.hidden[1:3])
    assert torch.equal(mask.to("cpu").hidden, mask.hidden)
    assert mask.to("meta").hidden.device.type == "meta"
