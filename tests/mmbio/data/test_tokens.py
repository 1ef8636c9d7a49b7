"""Sequences as training samples: windows, regions, what is held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_mmbio import random_proteins

from core.errors import UserError
from core.random import generator
from mmbio.config import TextConfig
from mmbio.data.sets import SequenceSet
from mmbio.data.tokens import TokenData, split_held_out
from mmbio.proteins.alphabet import ESM
from mmbio.sequences import Sequences, join, mean_of_sequences
from mmbio.vocabulary import Vocabulary


def some(*texts: str, **more: tuple) -> SequenceSet:
    return SequenceSet("some", "protein", texts, **more)  # type: ignore[arg-type]


def test_short_sequences_are_whole_and_long_ones_windows() -> None:
    text = "".join(random_proteins(1, shortest=50, longest=50))
    data = TokenData(some("MKT", text), [1, 0], ESM, longest=20)
    assert data.lengths.tolist() == [22, 5]
    assert torch.equal(data.sample(1, generator(0)).ids, ESM.encode("MKT"))
    starts = set()
    for seed in range(200):
        ids = data.sample(0, generator(seed)).ids
        assert len(ids) == 22
        assert ids[0] == ESM.ids["<cls>"]
        assert ids[-1] == ESM.ids["<eos>"]
        window = ESM.decode(ids)
        assert window in text
        starts.add(text.index(window))
    assert {0, 30} <= starts <= set(range(31))
    assert torch.equal(data.sample(0, generator(1)).ids, data.sample(0, generator(1)).ids)


def test_regions_are_cut_with_their_residues() -> None:
    text, regions = "".join(random_proteins(1, shortest=30, longest=30)), "0" * 10 + "1" * 5 + "0" * 10 + "3" * 5
    data = TokenData(some("MKT", text, regions=("020", regions)), [0, 1], ESM, longest=12)
    batch = data.collate([data.sample(0, generator(0)), data.sample(1, generator(3))])
    assert batch.regions is not None
    assert batch.regions[:5].tolist() == [0, 0, 2, 0, 0]
    window = ESM.decode(batch.ids[5:])
    begin = text.index(window)
    assert "".join(map(str, batch.regions[6:-1].tolist())) == regions[begin : begin + 12]
    without = TokenData(some("MKT"), [0], ESM, longest=12)
    assert without.collate([without.sample(0, generator(0))]).regions is None


def test_a_text_that_cannot_be_read_is_named() -> None:
    strict = Vocabulary("strict", ("_", "M", "K"), tuple, "M", "_", None, None, None, ("K",))
    with pytest.raises(UserError, match="some, second: 'T' is not in the vocabulary strict"):
        TokenData(some("MK", "MKT", names=("first", "second")), [0, 1], strict, 10)


def test_texts_said_otherwise_are_drawn_from_the_generator() -> None:
    def turned(text: str, draws: torch.Generator) -> str:
        return text[::-1] if torch.rand((), generator=draws) < 0.5 else text

    data = TokenData(some("MKT"), [0], ESM, 10, augment=turned)
    seen = {ESM.decode(data.sample(0, generator(seed)).ids) for seed in range(20)}
    assert seen == {"MKT", "TKM"}


def test_what_is_held_out() -> None:
    data = some(*random_proteins(100))
    train, held = split_held_out(data, TextConfig(held_out=0.2))
    assert len(held) == 20
    assert sorted(train + held) == list(range(100))
    assert split_held_out(data, TextConfig(held_out=0.2)) == (train, held)
    assert len(split_held_out(data, TextConfig(held_out=0.2, held_out_most=7))[1]) == 7
    assert split_held_out(data, TextConfig(held_out=0.0)) == (list(range(100)), [])
    apart = some(*data.texts, held_out=(3, 5, 90))
    train, held = split_held_out(apart, TextConfig(held_out_most=2))
    assert set(held) <= {3, 5, 90}
    assert len(held) == 2
    assert not {3, 5, 90} & set(train)


def test_equal_sequences_are_not_held_out_and_trained_on() -> None:
    unique = random_proteins(50)
    data = some(*unique, *unique, *unique[:10])
    train, held = split_held_out(data, TextConfig(held_out=0.2))
    assert len(held) == 10
    assert max(held) < 50  # of equal ones the first
    trained = {data.texts[i] for i in train}
    assert not trained & {data.texts[i] for i in held}
    assert len(trained) == 40
    assert sorted(train) == [i for i, text in enumerate(data.texts) if text in trained]
    train, held = split_held_out(some(*data.texts, held_out=(50, 51, 100)), TextConfig())
    assert held == [0, 1]
    assert not {data.texts[i] for i in train} & set(unique[:2])


def test_a_text_that_cannot_be_said_otherwise_is_named() -> None:
    def fails(text: str, draws: torch.Generator) -> str:
        raise UserError("no molecule")

    data = TokenData(some("MK", "MKT", names=("first", "second")), [1], ESM, 10, augment=fails)
    with pytest.raises(UserError, match="some, second: no molecule"):
        data.sample(0, generator(0))


def test_some_of_the_samples_are_as_if_no_others_had_been_read() -> None:
    data = some("MKV", "AAAAAAAA", "G", "LLKKEE", regions=("010", "00112200", "0", "333000"))
    kept = TokenData(data, [3, 0, 2, 1], ESM, 5).only(np.array([True, False, False, True]))
    anew = TokenData(data, [3, 1], ESM, 5)
    assert kept.chosen == anew.chosen
    assert kept.lengths.tolist() == anew.lengths.tolist()
    for index in range(2):
        mine, other = kept.sample(index, generator(index)), anew.sample(index, generator(index))
        assert torch.equal(mine.ids, other.ids)
        assert torch.equal(mine.regions, other.regions)


def test_batches_of_sequences() -> None:
    batch = join([torch.tensor([1, 2, 3]), torch.tensor([4]), torch.tensor([], dtype=torch.long)])
    assert len(batch) == 3
    assert batch.lengths.tolist() == [3, 1, 0]
    assert batch.positions.tolist() == [0, 1, 2, 0]
    assert batch.sample.tolist() == [0, 0, 0, 1]
    assert [part.tolist() for part in batch.to("cpu").split()] == [[1, 2, 3], [4], []]
    x = torch.tensor([[1.0], [2.0], [6.0], [4.0]])
    assert mean_of_sequences(x, batch).flatten().tolist() == [3.0, 4.0, 0.0]
    counted = torch.tensor([True, False, True, False])
    assert mean_of_sequences(x, batch, counted).flatten().tolist() == [3.5, 0.0, 0.0]
    with pytest.raises(ValueError, match="where offsets end"):
        Sequences(torch.zeros(3, dtype=torch.long), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="regions"):
        Sequences(torch.zeros(3, dtype=torch.long), None, torch.zeros(2))


def test_many_sequences_are_kept_small() -> None:
    data = TokenData(some(*random_proteins(50)), list(range(50)), ESM, 20)
    assert data.ids.dtype == np.int16
    assert len(data.ids) == sum(len(text) for text in data.data.texts)
