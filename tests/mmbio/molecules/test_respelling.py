"""Sets of molecules in one spelling."""

from __future__ import annotations

import pytest

pytest.importorskip("rdkit")

from core.errors import UserError
from mmbio.config import TextConfig
from mmbio.data.sets import SequenceSet
from mmbio.data.tokens import split_held_out
from mmbio.molecules.respelling import respelled


def test_order_names_and_stereo_chemistry_stay() -> None:
    data = SequenceSet(
        "some", "molecule", ("OCC", "N[C@@H](C)O", "CCO"), ("a", "b", "c"), held_out=(2,), skipped=("x",)
    )
    found = respelled(data)
    assert found.texts == ("CCO", "C[C@H](N)O", "CCO")
    assert (found.names, found.held_out, found.skipped) == (data.names, (2,), ("x",))
    assert respelled(found) == found
    # The molecule that is held out is not trained on in another spelling.
    assert split_held_out(data, TextConfig())[0] == [0, 1]
    assert split_held_out(found, TextConfig())[0] == [1]


def test_what_cannot_be_respelled() -> None:
    with pytest.raises(UserError, match="some, b: 'C1CC' is no molecule: ring 1"):
        respelled(SequenceSet("some", "molecule", ("CC", "C1CC"), ("a", "b")))
    with pytest.raises(ValueError, match="proteins; expected molecules"):
        respelled(SequenceSet("some", "protein", ("MKV",)))
