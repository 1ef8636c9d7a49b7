"""What is seen when: order and augmentation as functions of (seed, epoch, sample)."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from core.errors import UserError
from core.random import derive_seed, generator
from core.training.config import TrainConfig


class TrainingData(Protocol):
    """What the loop trains on."""

    def __len__(self) -> int: ...

    def sample(self, index: int, generator: torch.Generator) -> Any:
        """One sample, augmented with draws from the generator and from nothing else."""
        ...

    def collate(self, samples: Sequence[Any]) -> Any:
        """Samples as one batch."""
        ...


def lengths_of(data: TrainingData) -> Sequence[int] | None:
    """The lengths of the samples, by which they can be put into buckets; None where the data gives none."""
    return getattr(data, "lengths", None)


class Microbatch(NamedTuple):
    """Samples that go through the model together, and where they stand in the order of things."""

    batch: Any
    places: list[tuple[int, int]]  # (epoch, sample) of each

    def generators(self, seed: int, purpose: str) -> list[torch.Generator]:
        """One generator a sample, the same whatever the batch size and the number of processes."""
        return [generator(seed, epoch, index, purpose) for epoch, index in self.places]


class Plan(NamedTuple):
    """How samples are dealt into steps, processes and parts; every question is answered by arithmetic.

    ``length`` samples, shuffled anew each epoch by ``seed``; ``batch_size`` a step, split evenly over ``world``
    processes and ``accumulate`` parts; the rest of an epoch that fills no batch is left out, or kept as a smaller batch.
    With ``bucket``, so many batches that follow one another are filled in the order of their samples' ``lengths`` and
    shuffled as batches: a batch is then of samples alike in length, and an epoch is of the same samples as without.
    """

    length: int
    batch_size: int
    seed: int
    accumulate: int = 1
    world: int = 1
    keep_last: bool = False
    bucket: int = 0
    lengths: Sequence[int] | None = None

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.length // self.batch_size) if self.keep_last else self.length // self.batch_size

    def order(self, epoch: int) -> list[int]:
        """All samples in the order of an epoch."""
        order = torch.randperm(self.length, generator=generator(self.seed, epoch, "order"))
        if not self.bucket or self.lengths is None:
            return order.tolist()
        draws, lengths, size = generator(self.seed, epoch, "buckets"), torch.as_tensor(self.lengths), self.batch_size
        dealt = []
        for some in order.split(self.bucket * size):
            sorted_batches = list(some[lengths[some].argsort(stable=True)].split(size))
            last = [sorted_batches.pop()] if len(some) % size else []  # the only one that is not full stays the last
            dealt += [sorted_batches[i] for i in torch.randperm(len(sorted_batches), generator=draws).tolist()] + last
        return torch.cat(dealt).tolist()

    def parts(self, first_step: int, last_step: int, rank: int) -> Iterator[list[tuple[int, int]]]:
        """(epoch, sample) of every part of the steps in [first_step, last_step) for one process."""
        size = self.batch_size // (self.world * self.accumulate)
        order, known = [], -1
        for step in range(first_step, last_step):
            epoch, position = divmod(step, self.steps_per_epoch)
            if epoch != known:
                order, known = self.order(epoch), epoch
            start = position * self.batch_size
            for part in range(self.accumulate):
                begin = start + (part * self.world + rank) * size
                yield [(epoch, index) for index in order[begin : begin + size]]


def make_plan(length: int, train: TrainConfig, world: int, lengths: Sequence[int] | None = None) -> Plan:
    """A plan whose sizes fit.

    Args:
        length: number of samples.
        world: number of processes.
        lengths: of the samples, where they have some.

    Raises:
        UserError: the batch does not divide into processes and parts, or is larger than the data; the last batch is to
            be kept and would have to be divided; buckets are asked for of data without lengths.
    """
    batch_size, accumulate, keep = train.batch_size, train.accumulate, train.last_batch == "keep"
    if keep and world * accumulate > 1:
        raise UserError(
            f"train.last_batch keep: cannot be divided into {world} processes x {accumulate} accumulated parts"
        )
    if batch_size % (world * accumulate):
        raise UserError(
            f"train.batch_size {batch_size} does not divide into {world} processes x {accumulate} accumulated parts"
        )
    if length < batch_size and not keep:
        raise UserError(
            f"train.batch_size {batch_size} is larger than the {length} training samples; choose a smaller one"
        )
    if train.bucket and lengths is None:
        raise UserError(f"train.bucket {train.bucket}: this data has no lengths to make buckets by; expected 0")
    return Plan(length, batch_size, train.seed, accumulate, world, keep, train.bucket, lengths)


class _Samples(Dataset[tuple[Any, tuple[int, int]]]):
    """Adapter: torch's loader asks by (epoch, sample)."""

    def __init__(self, data: TrainingData, seed: int) -> None:
        self.data = data
        self.seed = seed

    def __getitem__(self, place: tuple[int, int]) -> tuple[Any, tuple[int, int]]:
        epoch, index = place
        return self.data.sample(index, generator(self.seed, epoch, index, "data")), place

    def collate(self, samples: Sequence[tuple[Any, tuple[int, int]]]) -> Microbatch:
        return Microbatch(self.data.collate([s for s, _ in samples]), [place for _, place in samples])


def microbatches(
    data: TrainingData, plan: Plan, first_step: int, last_step: int, rank: int, workers: int, pin: bool
) -> Iterator[Microbatch]:
    """Batches of one process from any step on, loaded ahead by ``workers`` processes."""
    samples = _Samples(data, plan.seed)
    return iter(
        DataLoader(
            samples,
            batch_sampler=_Parts(plan, first_step, last_step, rank),
            num_workers=workers,
            collate_fn=samples.collate,
            pin_memory=pin,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_leave_interrupts,
            generator=torch.Generator().manual_seed(derive_seed(plan.seed, "loader")),
        )
    )


def _leave_interrupts(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; the loop ends its step with this data, saves and stops its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Parts:
    """The parts of a plan as an iterable that can be started again."""

    def __init__(self, plan: Plan, first_step: int, last_step: int, rank: int) -> None:
        self.arguments = (first_step, last_step, rank)
        self.plan = plan

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return self.plan.parts(*self.arguments)
