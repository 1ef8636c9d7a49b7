"""The plan: every sample once an epoch, by arithmetic, from any step and over any number of processes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import TinyData

from core.errors import UserError
from core.training.config import TrainConfig
from core.training.data import Plan, make_plan, microbatches

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(0, 7))


def plan_of(sizes: tuple[int, int, int, int, int]) -> Plan:
    world, accumulate, size, steps, rest = sizes
    batch = world * accumulate * size
    train = TrainConfig(batch_size=batch, seed=7, accumulate=accumulate)
    return make_plan(batch * steps + min(rest, batch - 1), train, world)


@given(sizes=SIZES)
def test_every_sample_at_most_once_an_epoch(sizes: tuple[int, int, int, int, int]) -> None:
    plan = plan_of(sizes)
    assert plan.steps_per_epoch == sizes[3]
    for epoch in range(2):
        first = epoch * plan.steps_per_epoch
        seen = [
            place
            for rank in range(plan.world)
            for part in plan.parts(first, first + plan.steps_per_epoch, rank)
            for place in part
        ]
        assert len(seen) == len(set(seen)) == plan.steps_per_epoch * plan.batch_size
        assert {e for e, _ in seen} == {epoch}
        assert {i for _, i in seen} <= set(range(plan.length))
        assert sorted(plan.order(epoch)) == list(range(plan.length))


@given(sizes=SIZES, start=st.integers(0, 8))
def test_starting_at_any_step_gives_the_same_tail(sizes: tuple[int, int, int, int, int], start: int) -> None:
    plan = plan_of(sizes)
    for rank in range(plan.world):
        everything = list(plan.parts(0, 10, rank))
        assert list(plan.parts(start, 10, rank)) == everything[start * plan.accumulate :]


@given(sizes=SIZES)
def test_processes_and_parts_together_are_one_batch(sizes: tuple[int, int, int, int, int]) -> None:
    plan = plan_of(sizes)
    whole = plan._replace(world=1, accumulate=1)
    parts = [list(plan.parts(0, 4, rank)) for rank in range(plan.world)]
    for step, batch in enumerate(whole.parts(0, 4, 0)):
        pieces = [
            parts[rank][step * plan.accumulate + part] for part in range(plan.accumulate) for rank in range(plan.world)
        ]
        assert [place for piece in pieces for place in piece] == batch
        assert len({len(piece) for piece in pieces}) == 1


def test_epochs_and_seeds_are_shuffled_differently() -> None:
    plan = Plan(50, 10, seed=0)
    assert plan.order(0) == plan.order(0)
    assert plan.order(0) != plan.order(1)
    assert plan.order(0) != plan._replace(seed=1).order(0)
    assert plan.order(0) != list(range(50))


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(UserError, match="batch_size 10 does not divide into 2 processes x 3"):
        make_plan(100, TrainConfig(batch_size=10, accumulate=3), 2)
    with pytest.raises(UserError, match="batch_size 10 is larger than the 9 training samples"):
        make_plan(9, TrainConfig(batch_size=10), 1)
    assert make_plan(10, TrainConfig(batch_size=10, accumulate=5), 2).steps_per_epoch == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_are_functions_of_seed_epoch_and_index(workers: int) -> None:
    data, plan = TinyData(10), Plan(10, 4, seed=3, accumulate=2)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    everything = list(microbatches(data, plan, 0, 4, 0, workers, pin=False))
    assert torch.equal(torch.get_rng_state(), state)
    again = list(microbatches(data, plan, 3, 4, 0, 0, pin=False))
    assert [m.places for m in again] == [m.places for m in everything[6:]]
    assert all(torch.equal(a.batch, b.batch) for a, b in zip(again, everything[6:], strict=True))
    alone = next(iter(microbatches(data, plan._replace(batch_size=8, accumulate=1), 0, 1, 0, 0, pin=False)))
    for micro in everything[:2]:
        for place, sample in zip(micro.places, micro.batch, strict=True):
            if place in alone.places:
                assert torch.equal(alone.batch[alone.places.index(place)], sample)
    first, second = everything[0].generators(3, "mask"), everything[0].generators(3, "other")
    assert len(first) == len(everything[0].places)
    assert len({int(torch.randint(2**40, (), generator=g)) for g in first + second}) == 2 * len(first)


def test_a_kept_last_batch_has_the_rest() -> None:
    plan = make_plan(10, TrainConfig(batch_size=4, last_batch="keep", seed=1), 1)
    assert plan.steps_per_epoch == 3
    parts = list(plan.parts(0, 6, 0))
    assert [len(part) for part in parts] == [4, 4, 2, 4, 4, 2]
    for epoch in range(2):
        seen = [place for part in parts[3 * epoch : 3 * epoch + 3] for place in part]
        assert sorted(seen) == [(epoch, index) for index in range(10)]
    assert make_plan(3, TrainConfig(batch_size=4, last_batch="keep"), 1).steps_per_epoch == 1
    with pytest.raises(UserError, match="last_batch keep"):
        make_plan(10, TrainConfig(batch_size=4, last_batch="keep"), 2)


@given(sizes=SIZES, bucket=st.integers(1, 4), seed=st.integers(0, 50))
def test_buckets_are_of_the_same_samples(sizes: tuple[int, int, int, int, int], bucket: int, seed: int) -> None:
    """An epoch with buckets deals the same samples, and steps of it can be started anywhere."""
    lengths = torch.randint(1, 100, (200,), generator=torch.Generator().manual_seed(seed)).tolist()
    plain = plan_of(sizes)
    plan = plain._replace(bucket=bucket, lengths=lengths[: plain.length], seed=seed)
    for epoch in range(2):
        assert sorted(plan.order(epoch)) == list(range(plan.length))
        assert plan.order(epoch) == plan.order(epoch)
    for rank in range(plan.world):
        everything = list(plan.parts(0, 7, rank))
        assert list(plan.parts(3, 7, rank)) == everything[3 * plan.accumulate :]
    whole = plain._replace(seed=seed).order(0)
    size = bucket * plan.batch_size
    for begin in range(0, plan.length, size):  # a bucket holds the samples that would have come at that time
        assert sorted(plan.order(0)[begin : begin + size]) == sorted(whole[begin : begin + size])


def test_samples_of_a_bucketed_batch_are_alike_in_length() -> None:
    lengths = torch.randint(1, 1000, (512,), generator=torch.Generator().manual_seed(0))
    spreads = {}
    for bucket in (0, 8):
        plan = Plan(512, 16, seed=0, bucket=bucket, lengths=lengths.tolist())
        batches = lengths[plan.order(0)].view(-1, 16)
        spreads[bucket] = float((batches.amax(1) - batches.amin(1)).float().mean())
        means = batches.float().mean(1)
        assert not torch.equal(means, means.sort().values)  # batches stay shuffled
    assert spreads[8] < 0.2 * spreads[0]
    ordered = [set(b.tolist()) for b in torch.tensor(plan.order(1)).split(16)]
    assert ordered != [set(b.tolist()) for b in torch.tensor(plan.order(0)).split(16)]


def test_the_rest_of_a_bucket_stays_last() -> None:
    plan = Plan(11, 4, seed=0, keep_last=True, bucket=2, lengths=list(range(11)))
    for epoch in range(5):
        assert [len(part) for part in plan.parts(3 * epoch, 3 * epoch + 3, 0)] == [4, 4, 3]


def test_buckets_need_lengths() -> None:
    with pytest.raises(UserError, match=r"bucket 2: this data has no lengths"):
        make_plan(10, TrainConfig(batch_size=2, bucket=2), 1)
    assert make_plan(10, TrainConfig(batch_size=2, bucket=2), 1, list(range(10))).bucket == 2
