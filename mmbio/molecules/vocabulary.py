"""Vocabularies of SMILES tokens, which are made from the molecules that a model learns from and saved with it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from core.errors import UserError
from mmbio.data.sets import SequenceSet
from mmbio.molecules.smiles import split_atoms, split_characters
from mmbio.vocabulary import Vocabulary

SPECIAL = ("<bos>", "<eos>", "<pad>", "<mask>", "<unk>")
"""Begin, end, padding (official weights have it, nothing here pads), the mask, and any token that is not in the vocabulary."""

COMMON = (
    *"BCNOSPFIbcnosp*.=#:/\\-()123456789",
    *("Br", "Cl", "%10", "%11", "%12"),
    *("[nH]", "[n+]", "[n-]", "[nH+]", "[o+]", "[s+]", "[se]", "[c-]"),
    *("[C@H]", "[C@@H]", "[C@]", "[C@@]", "[N@+]", "[N@@+]", "[S@]", "[S@@]", "[P@]", "[P@@]"),
    *(f"[{atom}{charge}]" for atom, charge in product(("C", "N", "O", "S", "P"), ("", "+", "-"))),
    *(
        "[CH]",
        "[CH2]",
        "[CH-]",
        "[CH2-]",
        "[NH+]",
        "[NH2+]",
        "[NH3+]",
        "[NH4+]",
        "[NH-]",
        "[OH+]",
        "[OH-]",
        "[SH]",
        "[SH+]",
    ),
    *(
        "[PH]",
        "[H]",
        "[H+]",
        "[2H]",
        "[B]",
        "[B-]",
        "[Si]",
        "[SiH]",
        "[Se]",
        "[As]",
        "[Sn]",
        "[Hg]",
        "[Pt]",
        "[Al]",
        "[Ge]",
    ),
    *("[Li+]", "[Na+]", "[K+]", "[Ca+2]", "[Ca++]", "[Mg+2]", "[Zn+2]", "[Zn++]", "[Cl-]", "[Br-]", "[I-]", "[F-]"),
)
"""Tokens that every vocabulary has, whether or not they occur, so that a model can be trained further on molecules with
charges or stereo centres: MOSES, say, has neither."""


def build_vocabulary(texts: Iterable[str]) -> tuple[str, ...]:
    """Tokens of a vocabulary: :data:`SPECIAL` first, then by how often they occur, then by the alphabet; a function of the
    texts alone. Tokens of :data:`COMMON` that do not occur stand last.

    Raises:
        UserError: a text that is no SMILES.
    """
    return _by_frequency(map(split_atoms, texts))


def _by_frequency(split: Iterable[list[str]]) -> tuple[str, ...]:
    counts = Counter(dict.fromkeys(COMMON, 0))
    for tokens in split:
        counts.update(tokens)
    return (*SPECIAL, *sorted(counts, key=lambda token: (-counts[token], token)))


def smiles_vocabulary(tokens: tuple[str, ...]) -> Vocabulary:
    """The vocabulary of given tokens, in their order; of none: :data:`SPECIAL` and :data:`COMMON`.

    Masks hide and random replacements are all tokens but the special ones.

    Raises:
        ValueError: a token that is there twice, or a special token that is missing.
    """
    return _vocabulary("SMILES", tokens or (*SPECIAL, *COMMON), split_atoms)


def _vocabulary(name: str, tokens: tuple[str, ...], split: Any) -> Vocabulary:
    return Vocabulary(
        name=name,
        tokens=tokens,
        split=split,
        mask="<mask>",
        pad="<pad>",
        begin="<bos>",
        end="<eos>",
        unknown="<unk>",
        drawn=tuple(token for token in tokens if token not in SPECIAL),
        kind="molecule",
    )


# The order of SmileDictionary in fairseq/data/dictionary.py of SMILES-BERT's code, which calls begin <go> and end </s>.
SMILES_BERT = _vocabulary(
    "SMILES-BERT",
    (
        "<mask>",
        "<pad>",
        "<eos>",
        "<unk>",
        "<bos>",
        *"cC)(12ON[]@Hn3=4+FSs",
        "Cl",
        *"o5-#",
        "Br",
        *"/\\6I789PpBb%.",
        "Ru",
        "10",
    ),
    split_characters,
)
"""46 tokens: the characters of SMILES-BERT's code."""


def with_vocabulary(recipe: Any, data: SequenceSet, chosen: Sequence[int]) -> Any:
    """A copy of a recipe whose model has the tokens of its training data; as it is where it names tokens or needs none.

    Args:
        recipe: with a ``model``.
        data: molecules.
        chosen: indices of those that are trained on.

    Raises:
        UserError: a text that is no SMILES, naming the data and the molecule.
    """
    model = recipe.model
    if getattr(model, "tokens", None) != () or getattr(model, "splitting", "atoms") != "atoms":
        return recipe
    tokens = _by_frequency(_tokens(data, number) for number in chosen)
    return dataclasses.replace(recipe, model=dataclasses.replace(model, tokens=tokens))


def _tokens(data: SequenceSet, number: int) -> list[str]:
    try:
        return split_atoms(data.texts[number])
    except UserError as error:
        raise UserError(f"{data.name}, {data.called(number)}: {error}") from error
