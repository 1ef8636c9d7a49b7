"""Vocabularies: ids, what is read and written, and vocabularies that make no sense."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from mmbio.proteins.alphabet import ESM, RESIDUES, STANDARD, clean
from mmbio.vocabulary import Vocabulary

STRICT = Vocabulary("strict", ("_", "a", "bc", "M"), str.split, "M", "_", None, None, None, ("a",))


@given(st.text(alphabet=sorted(RESIDUES), min_size=1, max_size=50))
def test_residues_go_there_and_back(text: str) -> None:
    ids = ESM.encode(text)
    assert len(ids) == len(text) + ESM.around == len(text) + 2
    assert ESM.decode(ids) == text
    assert ids[0] == ESM.ids["<cls>"]
    assert ids[-1] == ESM.ids["<eos>"]
    assert torch.equal(ESM.wrap(ESM.token_ids(text)), ids)


@given(st.text(alphabet=sorted(RESIDUES) + list("jJ*-.") + [c.lower() for c in RESIDUES], min_size=1, max_size=30))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    if text.strip("*"):
        once = clean(text)
        assert clean(once) == once
        assert set(once) <= RESIDUES | set("-.")


def test_what_masks_may_hide_and_draw() -> None:
    assert [ESM.tokens[i] for i in ESM.drawn_ids] == list(STANDARD)
    hideable = {token for token, may in zip(ESM.tokens, ESM.hideable_ids.tolist(), strict=True) if may}
    assert hideable == {*STANDARD, *"BUZO"}
    special = {token for token, is_so in zip(ESM.tokens, ESM.special_ids.tolist(), strict=True) if is_so}
    assert special == {"<cls>", "<pad>", "<eos>", "<mask>"}
    assert (ESM.mask_id, ESM.pad_id, ESM.before, ESM.around, len(ESM)) == (32, 1, 1, 2, 33)


def test_a_vocabulary_without_begin_end_and_unknown() -> None:
    assert STRICT.encode("a bc a").tolist() == [1, 2, 1]
    assert (STRICT.before, STRICT.around) == (0, 0)
    assert STRICT.hideable_ids.tolist() == [False, True, False, False]
    with pytest.raises(UserError, match="'x' is not in the vocabulary strict"):
        STRICT.encode("a x")
    assert dataclasses.replace(STRICT, unknown="_").encode("a x").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"tokens": ("_", "a", "a", "M")}, "there twice"), ({"begin": "<s>"}, "'<s>'"), ({"drawn": ("z",)}, "'z'")],
)
def test_vocabularies_that_make_no_sense(change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(STRICT, **change)
