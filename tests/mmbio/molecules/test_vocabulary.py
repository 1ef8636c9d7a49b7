"""Vocabularies: a function of the texts, special tokens first, what masks may touch, and recipes that get one."""

from __future__ import annotations

import random

import pytest

from core.errors import UserError
from mmbio.config import ESM2Recipe, MolFormerRecipe, SmilesBertConfig, SmilesBertRecipe
from mmbio.data.sets import SequenceSet
from mmbio.molecules.vocabulary import (
    COMMON,
    SMILES_BERT,
    SPECIAL,
    build_vocabulary,
    smiles_vocabulary,
    with_vocabulary,
)

TEXTS = ["CCO", "CCN", "C[Ru+3]", "CCOC(=O)N", "[Ru+3]CCl"]


def test_order() -> None:
    tokens = build_vocabulary(TEXTS)
    assert tokens[: len(SPECIAL)] == SPECIAL
    # C 10 times, O 3, [Ru+3] and N 2 each, then once each by the alphabet, then what does not occur.
    assert tokens[5:13] == ("C", "O", "N", "[Ru+3]", "(", ")", "=", "Cl")
    assert set(tokens) == {*SPECIAL, *COMMON, "[Ru+3]"}
    assert tokens[13:] == tuple(sorted(set(tokens[13:])))


def test_order_of_texts_does_not_matter() -> None:
    shuffled = TEXTS * 3
    random.Random(0).shuffle(shuffled)
    assert build_vocabulary(shuffled) == build_vocabulary(TEXTS)


def test_texts_that_are_no_smiles() -> None:
    with pytest.raises(UserError, match="place 2"):
        build_vocabulary(["CCO", "C&"])


def test_parts_that_tokens_play() -> None:
    vocabulary = smiles_vocabulary(build_vocabulary(TEXTS))
    ids = vocabulary.encode("C[Zr]O")
    assert [vocabulary.tokens[i] for i in ids] == ["<bos>", "C", "<unk>", "O", "<eos>"]
    assert vocabulary.hideable_ids[ids].tolist() == [False, True, False, True, False]
    assert vocabulary.special_ids[ids].tolist() == [True, False, False, False, True]
    assert not {vocabulary.ids[token] for token in SPECIAL} & set(vocabulary.drawn_ids)
    assert vocabulary.decode(vocabulary.encode("CC(=O)[Ru+3]")) == "CC(=O)[Ru+3]"
    with pytest.raises(ValueError, match="not among its tokens"):
        smiles_vocabulary(("C", "N"))


def test_characters_of_smiles_bert() -> None:
    assert len(SMILES_BERT) == 46
    assert SMILES_BERT.tokens[:6] == ("<mask>", "<pad>", "<eos>", "<unk>", "<bos>", "c")
    assert SMILES_BERT.tokens[-2:] == ("Ru", "10")
    assert SMILES_BERT.encode("Clc1").tolist() == [4, 25, 5, 9, 2]


def test_recipes_get_the_tokens_of_their_data() -> None:
    data, other = (SequenceSet("some", "molecule", texts) for texts in (("CP", *TEXTS), ("CP",)))
    every = range(1, 6)
    for recipe in (SmilesBertRecipe(), MolFormerRecipe()):
        filled = with_vocabulary(recipe, data, every)
        assert filled.model.tokens == build_vocabulary(TEXTS)
        assert recipe.model.tokens == ()
        assert with_vocabulary(filled, other, [0]) is filled
    proteins, characters = ESM2Recipe(), SmilesBertRecipe(model=SmilesBertConfig(splitting="characters"))
    assert with_vocabulary(proteins, data, every) is proteins
    assert with_vocabulary(characters, data, every) is characters


def test_a_text_that_is_no_smiles_is_named_with_its_data() -> None:
    data = SequenceSet("some", "molecule", ("CC", "CC&", "CC"), ("a", "b", "c"))
    with pytest.raises(UserError, match="some, b: character '&' at place 3"):
        with_vocabulary(MolFormerRecipe(), data, [0, 1])
    assert with_vocabulary(MolFormerRecipe(), data, [0, 2]).model.tokens[5] == "C"
