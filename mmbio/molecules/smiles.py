"""SMILES as tokens: one an atom, bond, branch or ring number; and the splittings of the official codes."""

from __future__ import annotations

import re

from core.errors import UserError

ATOMS = re.compile(r"\[[^\]]+\]|Br|Cl|%\(\d+\)|%\d\d|->|<-|[BCNOSPFIbcnosp*.=#$:/\\~@?>()+\-0-9]")
"""An atom in brackets, one of two letters, a ring number of several digits, a dative bond, or one character."""

MOLFORMER = re.compile(r"\[[^\]]+\]|Br?|Cl?|[NOSPFIbcnosp().=#\-+\\/:~@?>*$0-9]|%[0-9]{2}")
"""What MolFormer's released expression matches (training/pubchem_encoder.py); it drops all other characters."""

CHARACTERS = re.compile(r"Cl|Br|Ru|10|\S")
"""SMILES-BERT's tokens: characters, but for four pairs (smile_tokenize in fairseq/tokenizer.py of its code)."""


def split_atoms(text: str) -> list[str]:
    """A SMILES string as tokens whose concatenation is the string: ``[C@@H](Cl)O`` -> ``[C@@H] ( Cl ) O``.

    Brackets are one token whatever is in them. Spells everything that MolFormer's expression does in the same way, and ring
    numbers above 99 and dative bonds besides.

    Raises:
        UserError: an empty string, or a character that is no part of a token, with its place.

    Source: Schwaller et al., "Found in Translation", Section 3.1, whose expression MolFormer took over.
    """
    return _split(ATOMS, text)


def split_molformer(text: str) -> list[str]:
    """The tokens of MolFormer's released expression.

    Raises:
        UserError: an empty string, or a character that the expression would silently drop, with its place.
    """
    return _split(MOLFORMER, text)


def split_characters(text: str) -> list[str]:
    """The tokens of SMILES-BERT's code: every character, but Cl, Br, Ru and 10.

    The code takes ``10`` as one token wherever the digits stand side by side, also where they are two rings, and so do we.

    Raises:
        UserError: an empty string, or white space, with its place.
    """
    return _split(CHARACTERS, text)


def _split(pattern: re.Pattern[str], text: str) -> list[str]:
    tokens = pattern.findall(text)
    if "".join(tokens) != text or not text:
        raise UserError(_first_unmatched(pattern, text))
    return tokens


def _first_unmatched(pattern: re.Pattern[str], text: str) -> str:
    if not text:
        return "an empty string; expected SMILES"
    place = 0
    while (match := pattern.match(text, place)) is not None:
        place = match.end()
    if text[place] == "[":
        return f"the bracket at place {place + 1} of {shortened(text)} is empty or not closed"
    return f"character {text[place]!r} at place {place + 1} of {shortened(text)} is no part of SMILES"


def shortened(text: str, most: int = 60) -> str:
    """A text for messages, in quotes, cut where it is long."""
    return repr(text if len(text) <= most else text[: most - 3] + "...")
