"""No text is in two parts, and what is tested on is not learned from, whatever the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_mmbio import random_proteins, write_fasta

from core.errors import UserError
from mmbio.data import sources
from mmbio.data.sets import LabelledSequences, texts_of_test, trained_on, without_leaks
from mmbio.data.sources import load, load_texts

PARTS = ("train", "validation", "test")


def labelled(texts: list[str], parts: list[int]) -> LabelledSequences:
    indices = [np.flatnonzero(np.array(parts) == number) for number in range(3)]
    return LabelledSequences("some", "protein", tuple(texts), "values", np.zeros((len(texts), 1)), *indices, ("x",))


@given(st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.integers(0, 2)), max_size=20))
def test_the_last_part_has_a_text(rows: list[tuple[str, int]]) -> None:
    rows = [*rows, ("KK", 0), ("LL", 1), ("MM", 2)]
    data = labelled([text for text, _ in rows], [part for _, part in rows])
    found = without_leaks(data)
    last = {text: max(part for other, part in rows if other == text) for text, _ in rows}
    for number, part in enumerate(PARTS):
        assert getattr(found, part).tolist() == [i for i, row in enumerate(rows) if row[1] == last[row[0]] == number]
    lost = [sum(part == number < last[text] for text, part in rows) for number in (0, 1)]
    said = f"some: {lost[0]} of train and {lost[1]} of validation, whose texts are in a later part"
    assert found.skipped == ((said,) if any(lost) else ())
    assert without_leaks(found) is found
    learned = trained_on(data)
    trained = {text for i, text in enumerate(learned.texts) if i not in learned.held_out}
    assert not trained & texts_of_test(data)
    assert not trained & {learned.texts[i] for i in learned.held_out}


def test_a_part_that_is_left_empty() -> None:
    with pytest.raises(UserError, match=r"no sequences in its train part; 1 records were left out, .*2 of train"):
        without_leaks(labelled(["MK", "MK", "GG", "MK"], [0, 0, 1, 2]))


def test_no_loader_can_forget_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = labelled(["MK", "AA", "GG", "MK"], [0, 0, 1, 2])
    monkeypatch.setitem(sources.LAYOUTS, "fasta", (lambda path: data, ""))
    assert load("fasta:x").train.tolist() == [1]
    assert load_texts("fasta:x").texts == ("AA", "GG")


def test_joined_sources_keep_names_and_say_what_is_tested_on(tmp_path: Path) -> None:
    texts = random_proteins(6)
    (tmp_path / "a.csv").write_text(
        "sequence,y,set\n" + "".join(f"{t},1,{p}\n" for t, p in zip(texts, ["train", "val", "test"] * 2, strict=True))
    )
    word = f"csv:{tmp_path / 'a.csv'},label=y,task=values,split=set"
    joined = load_texts(f"{write_fasta(tmp_path / 'b.fasta', texts[:3])}+{word}")
    assert set(joined.texts) == {texts[0], texts[1], texts[3], texts[4]}
    assert joined.names == ("protein0", "protein1", "line 5", "line 6")
    assert {joined.texts[i] for i in joined.held_out} == {texts[1], texts[4]}
    assert joined.skipped == (f"{tmp_path / 'b.fasta'}: 1 sequences that are tested on elsewhere",)
