"""Predictions drawn on sequences, and the command that draws them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_mmbio import command

from core.random import generator
from mmbio.config import ESM2Config, SmilesBertConfig
from mmbio.models import new_model
from mmbio.models.esm2 import ESM2
from mmbio.pictures import Guess, guesses, plot_rows, three_lines
from mmgraph.config.attr_masking import AttrMaskingConfig


def test_guesses_are_the_hidden_tokens_and_no_others() -> None:
    torch.manual_seed(0)
    model = ESM2(ESM2Config(16, 1, 2)).eval()
    text = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
    ids = model.vocabulary.encode(text)
    row = guesses(model, _batch(ids), generator(0))
    assert "".join(guess.token for guess in row) == text  # begin and end are left out
    hidden = [place for place, guess in enumerate(row) if guess.hidden]
    mask = model.draw_mask(_batch(ids), [generator(0)])
    assert hidden == [place - 1 for place in mask.hidden_index.tolist()]
    filled = model.reconstruct(_batch(ids), mask)
    for number, place in enumerate(hidden):
        assert row[place].named == model.vocabulary.tokens[int(filled.ids[number])]
        assert 0 < row[place].chance < 1
    assert all(guess.named == "" and guess.chance == 1 for guess in row if not guess.hidden)


def test_three_lines_stand_below_each_other() -> None:
    row = [
        Guess("A", False, "", 1),
        Guess("C", True, "C", 0.9),
        Guess("[nH]", True, "O", 0.1),
        Guess("D", True, "Cl", 0.2),
    ]
    assert three_lines(row) == "AC[nH]D \n _______\n CO   Cl"
    wrapped = three_lines(row * 3, width=10).split("\n\n")
    assert len(wrapped) == 3
    assert all(len({len(line) for line in block.split("\n")}) == 1 for block in wrapped)


def test_long_sequences_are_wrapped_and_cut(tmp_path: Path) -> None:
    row = [Guess("A", place % 3 == 0, "L", 0.5) for place in range(500)]
    picture = plot_rows([("long", row), ("short", row[:5])], tmp_path / "rows.png", most_lines=5)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_reconstruct_writes_a_picture_and_a_page(pretrained: Path, proteins: str, tmp_path: Path) -> None:
    said = command("reconstruct", pretrained, "MKTAYIAKQRQISFVKSHF", proteins, "--count", 3, "--out", tmp_path / "look")
    assert said.status == 0, said.err
    assert "3 sequences" in said.out
    assert (tmp_path / "look.png").stat().st_size > 1000
    assert "MKTAYIAKQRQISFVKSHF" in (tmp_path / "look.html").read_text()
    again = command("reconstruct", pretrained, "MKTAYIAKQRQISFVKSHF", "--out", tmp_path / "again")
    assert (
        command("reconstruct", pretrained, "MKTAYIAKQRQISFVKSHF", "--out", tmp_path / "third").out.split("\n")[2:]
        == (again.out.split("\n")[2:])
    )


def test_reconstruct_says_what_is_wrong(pretrained: Path, tmp_path: Path) -> None:
    said = command("reconstruct", pretrained, "MK1TAY", "--out", tmp_path / "look")
    assert said.status == 2
    assert "'1' at place 3" in said.err
    for words, expected in (
        (("MKTAY", ""), "error: input 2: an empty sequence; expected residues\n"),
        (("MKTAY", "MK1TAY"), "error: input 2: character '1' at place 3 is no residue; expected letters A to Z\n"),
    ):
        said = command("reconstruct", pretrained, *words, "--out", tmp_path / "look")
        assert (said.status, said.out, said.err) == (2, "", expected)
    assert not list(tmp_path.iterdir())
    said = command("reconstruct", pretrained, "MKTAY", "--count", 0)
    assert (said.status, "expected at least 1" in said.err) == (2, True)
    (tmp_path / "file").write_text("in the way")
    said = command("reconstruct", pretrained, "MKTAY", "--out", tmp_path / "file" / "look")
    assert said.status == 2
    assert said.err.startswith("error:")


@pytest.mark.parametrize("kind", ["tokens", "atoms"])
def test_molecules_are_read_before_they_are_shown(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("rdkit")
    tokens = SmilesBertConfig(dim=16, depth=1, heads=2, hidden=16)
    atoms = AttrMaskingConfig(dim=16, depth=1)
    new_model(tokens if kind == "tokens" else atoms).save_pretrained(tmp_path / "model")
    for words, expected in (
        (("CCO", "C1CC"), "error: input 2: 'C1CC' is no molecule: ring 1 is opened and not closed\n"),
        (("",), "error: input 1: an empty string; expected SMILES\n"),
        (("CCO", "C&C"), "error: input 2: character '&' at place 2 of 'C&C' is no part of SMILES\n"),
    ):
        said = command("reconstruct", tmp_path / "model", *words, "--out", tmp_path / "look")
        assert (said.status, said.out, said.err) == (2, "", expected)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    said = command("reconstruct", tmp_path / "model", "c1ccccc1O", "--out", tmp_path / "look")
    assert said.status == 0, said.err


def _batch(ids: torch.Tensor):  # type: ignore[no-untyped-def]
    from mmbio.sequences import join

    return join([ids])
