"""SMILES as tokens: nothing is lost, nothing is dropped, and the official splittings are what they were."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from mmbio.data.smiles import nci, read_lines
from mmbio.molecules.smiles import split_atoms, split_characters, split_molformer
from mmbio.molecules.vocabulary import SPECIAL, build_vocabulary, smiles_vocabulary


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("C[C@@H](Cl)Br", "C [C@@H] ( Cl ) Br"),
        ("c1c[nH]cc1", "c 1 c [nH] c c 1"),
        ("C%10CC%10", "C %10 C C %10"),
        ("C%(100)CC%(100)", "C %(100) C C %(100)"),
        ("[Na+].[O-]B", "[Na+] . [O-] B"),
        ("F/C=C\\I", "F / C = C \\ I"),
        ("CC12CS", "C C 1 2 C S"),
        ("N->[Pt]", "N -> [Pt]"),
        ("*C#N", "* C # N"),
    ],
)
def test_atoms(text: str, tokens: str) -> None:
    assert split_atoms(text) == tokens.split(" ")


PIECES = [
    "C",
    "Cl",
    "Br",
    "B",
    "c",
    "[nH]",
    "[C@@H]",
    "[13CH3-]",
    "%10",
    "%(123)",
    "1",
    "(",
    ")",
    "=",
    "/",
    "\\",
    ".",
    "*",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1))
def test_pieces_are_found_again(pieces: list[str]) -> None:
    assert split_atoms("".join(pieces)) == pieces


@given(st.text(min_size=1, max_size=30))
def test_any_text_is_kept_whole_or_refused(text: str) -> None:
    for split in (split_atoms, split_molformer, split_characters):
        try:
            tokens = split(text)
        except UserError:
            continue
        assert "".join(tokens) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty string"),
        ("CC&O", "character '&' at place 3 of 'CC&O' is no part of SMILES"),
        ("CuC", "character 'u' at place 2"),
        ("C C", "character ' ' at place 2"),
        ("C[C@@H", "bracket at place 2 of .* is empty or not closed"),
        ("C[]", "bracket at place 2"),
        ("é", "character 'é' at place 1"),
    ],
)
def test_what_no_token_matches_is_an_error(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_atoms(text)


def test_official_tokens_of_molformer(shared: Path) -> None:
    with np.load(shared / "golden/molformer_tokens.npz") as found:
        golden = {name: found[name] for name in found.files}
    ids = dict(zip(golden["tokens_flat"].tolist(), golden["token_ids_flat"].tolist(), strict=True))
    by_id = {number: token for token, number in ids.items() if number >= 0}
    official = ("<bos>", "<eos>", "<pad>", "<mask>", *(by_id.get(n, f"[{n}]") for n in range(4, 2361)), "<unk>")
    vocabulary, unknown = smiles_vocabulary(official), 2361
    compared = 0
    for number, text in enumerate(golden["smiles"].tolist()):
        if golden["lossy"][number]:
            for split in (split_molformer, split_atoms):
                with pytest.raises(UserError, match="is no part of SMILES"):
                    split(text)
            continue
        part = slice(*golden["token_ptr"][number : number + 2])
        assert split_molformer(text) == split_atoms(text) == golden["tokens_flat"][part].tolist()
        expected = [unknown if n < 0 else n for n in golden["token_ids_flat"][part].tolist()]
        assert vocabulary.token_ids(text) == expected
        assert vocabulary.encode(text).tolist() == [0, *expected, 1]
        compared += 1
    assert compared == 212


def test_characters_of_smiles_bert() -> None:
    assert split_characters("C[C@H](Cl)Br") == [*"C[C@H](", "Cl", ")", "Br"]
    assert split_characters("C%10C10") == ["C", "%", "10", "C", "10"]


def lost(texts: Sequence[str]) -> list[str]:
    """Texts that their own vocabulary does not give back."""
    vocabulary = smiles_vocabulary(build_vocabulary(texts))
    unknown = vocabulary.ids["<unk>"]
    both = ((text, vocabulary.encode(text).tolist()) for text in texts)
    return [text for text, ids in both if unknown in ids or vocabulary.decode(ids) != text]


@pytest.mark.parametrize(("name", "step"), [("train", 60), ("test", 10), ("test_scaffolds", 10)])
def test_moses_is_kept_character_for_character(shared: Path, name: str, step: int) -> None:
    """Lines from all over each file, the last among them."""
    with gzip.open(shared / f"data/moses/{name}.csv.gz", "rt") as file:
        lines = file.read().splitlines()[1:]
    texts = [line.split(",")[0] for line in lines[::-step]]
    assert len(texts) > 15_000
    assert lost(texts) == []


def test_nci_is_kept_character_for_character() -> None:
    """Every line of rdkit's file, also those that rdkit cannot read, and every molecule as it is read."""
    pytest.importorskip("rdkit")
    from rdkit import RDConfig

    texts = [line.smiles for line in read_lines(Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi")]
    assert len(texts) == 4999
    assert lost(texts) == []
    assert set(nci().texts) <= set(texts)


def test_moleculenet_is_kept_character_for_character(shared: Path) -> None:
    vocabulary, seen = smiles_vocabulary(()), 0
    for file in sorted((shared / "data/moleculenet").glob("*.csv.gz")):
        with gzip.open(file, "rt") as lines:
            texts = [row[0] for row in csv.reader(lines)][1:8_001]
        assert all("".join(split_atoms(text)) == "".join(split_molformer(text)) == text for text in texts)
        unknown = sum(vocabulary.token_ids(text).count(SPECIAL.index("<unk>")) for text in texts)
        assert unknown / sum(map(len, texts)) < 2e-3, file.name
        seen += len(texts)
    assert seen > 50_000
