"""Alphabets of proteins, in the order of the official codes, and how a sequence is read."""

from __future__ import annotations

from dataclasses import replace
from string import ascii_lowercase, ascii_uppercase

from core.errors import UserError
from mmbio.vocabulary import Vocabulary

STANDARD = tuple("ACDEFGHIKLMNPQRSTVWY")
"""The twenty amino acids."""

RESIDUES = frozenset("ABCDEFGHIKLMNOPQRSTUVWXYZ")
"""Letters of FASTA files but J: the twenty, B and Z for two each, U and O for two rare ones, X for any."""

_ALLOWED = RESIDUES | frozenset("-.")
_CAPITALS = str.maketrans(ascii_lowercase, ascii_uppercase)


class NoResidue(UserError):
    """A character that is no residue.

    Args:
        letter: as the text has it.
        place: in the text, from 1.
    """

    def __init__(self, letter: str, place: int) -> None:
        self.letter = letter
        self.place = place
        super().__init__(f"character {letter!r} at place {place} is no residue; expected letters A to Z")


def capitals(text: str) -> str:
    """a to z as A to Z and all else as it is: Unicode would make two letters of one (of an eszett SS)."""
    return text.translate(_CAPITALS)


def clean(text: str) -> str:
    """A protein's letters by one rule.

    White space goes, a to z become A to Z, a ``*`` at the end (a stop codon) goes, J (leucine or isoleucine) and a ``*``
    inside become X. Gaps (``-`` and ``.``) stay.

    Raises:
        NoResidue: a character that is no residue, a letter outside of ASCII for one, with its place in the text.
        UserError: nothing is left.
    """
    letters = capitals("".join(text.split())).rstrip("*").replace("J", "X").replace("*", "X")
    if not letters:
        raise UserError("an empty sequence; expected residues")
    if _ALLOWED.issuperset(letters):  # by far faster than a look at each
        return letters
    known = _ALLOWED | {"J", "*"}
    place = next(i for i, letter in enumerate(text) if not letter.isspace() and capitals(letter) not in known)
    raise NoResidue(text[place], place + 1)


# The order of fair-esm's alphabet "ESM-1b", which ESM-1b, ESM-1v and ESM-2 share.
ESM = Vocabulary(
    name="ESM",
    tokens=("<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>"),
    split=clean,
    mask="<mask>",
    pad="<pad>",
    begin="<cls>",
    end="<eos>",
    unknown="<unk>",
    drawn=STANDARD,
    hideable=(*STANDARD, *"BUZO"),
)
"""33 tokens; masks hide letters but X, random replacements are the twenty amino acids."""

# The order of songlab-cal/tape, which CPCProt shares; it has O and U and no J.
IUPAC = Vocabulary(
    name="IUPAC",
    tokens=("<pad>", "<mask>", "<cls>", "<sep>", "<unk>", *"ABCDEFGHIKLMNOPQRSTUVWXYZ"),
    split=clean,
    mask="<mask>",
    pad="<pad>",
    begin="<cls>",
    end="<sep>",
    unknown="<unk>",
    drawn=STANDARD,
    hideable=(*STANDARD, *"BUZO"),
)
"""30 tokens; masks and replacements as for :data:`ESM`."""

# The order of KyGao/ABGNN, whose dictionary counted 50 million antibodies; its last six words fill it up to 32.
ABBERT = Vocabulary(
    name="AbBERT",
    tokens=(
        *("<s>", "<pad>", "</s>", "<unk>", *"SGTYVALRDKQWINFEPCMHX*"),
        *(f"madeupword{number:04}" for number in range(6)),
        "<mask>",
    ),
    split=clean,
    mask="<mask>",
    pad="<pad>",
    begin="<s>",
    end="</s>",
    unknown="<unk>",
    drawn=STANDARD,
)
"""33 tokens; masks hide the twenty amino acids, and random replacements are these."""

ESM_MSA = replace(ESM, name="ESM-MSA", end=None, hideable=(*STANDARD, *"BUZOX-"))
""":data:`ESM` as the MSA Transformer has it: a begin and no end; gaps and X may be hidden as well."""

# The order of AlphaFold 2's residue types; rare residues as those that they are written for.
AF2_LETTERS = "ARNDCQEGHILKMFPSTWYVX-"
AF2 = Vocabulary(
    name="AlphaFold 2",
    tokens=(*AF2_LETTERS, "<mask>"),
    split=lambda text: clean(text).translate(str.maketrans("BZUO.", "DECX-")),
    mask="<mask>",
    pad="<mask>",  # there is none
    begin=None,
    end=None,
    unknown="X",
    drawn=STANDARD,
    hideable=tuple(AF2_LETTERS),
)
"""23 classes: twenty amino acids, X, gap, mask; any cell of an alignment may be hidden."""
