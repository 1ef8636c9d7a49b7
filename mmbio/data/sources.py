"""Data by a word of the command line: ``fasta:proteins.fasta``, ``flip_ss:path/secondary_structure``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.config import did_you_mean
from core.errors import UserError
from mmbio.data.fasta import fasta
from mmbio.data.genome import genome
from mmbio.data.sets import LabelledSequences, SequenceSet, trained_on
from mmbio.data.structures import structures
from mmbio.data.variants import variants

Loaded = Any  # SequenceSet, LabelledSequences, and what other layouts give

LAYOUTS: dict[str, tuple[Callable[[str], Loaded], str]] = {
    "genome": (lambda path: genome(), "2,100 proteins of a bacterium that pyhmmer comes with; needs no path"),
    "fasta": (fasta, "FASTA file, plain or .gz, or a folder of them; a bad record is an error"),
    "fasta_skip": (lambda path: fasta(path, skip=True), "the same; bad records are left out and counted"),
    "structures": (structures, "protein structures to read contacts from: .npz, PDB or mmCIF, or a folder of these"),
    "variants": (variants, "deep mutational scan: scan.csv[,wild_type.fasta[,column of the score]]"),
}
"""Loaders by name, with a description."""

WITHOUT_PATH: tuple[str, ...] = ("genome",)
"""Layouts that are built in."""


def load(source: str) -> Loaded:
    """The data that a source word names.

    Raises:
        UserError: an unknown layout, and what its loader raises.
    """
    name, _, path = source.partition(":")
    if name not in LAYOUTS:
        raise UserError(f"data {source!r}: no such layout{did_you_mean(name, LAYOUTS)}")
    if name in WITHOUT_PATH and path:
        raise UserError(f"data {source!r}: {name} is built in and takes no path")
    if name not in WITHOUT_PATH and not path:
        raise UserError(f"data {source!r}: where is it? Write {name}:path/to/it")
    return LAYOUTS[name][0](path)


def load_texts(source: str) -> SequenceSet:
    """Sequences to learn from, of one source or of several joined by ``+``; of equal sequences the first stays.

    Labelled sets give their training part, and their validation part as held out.

    Raises:
        UserError: as :func:`load`, data that is no sequences, or proteins together with molecules.
    """
    sets = []
    for word in source.split("+"):
        data = load(word)
        if not isinstance(data, SequenceSet | LabelledSequences):
            raise UserError(f"data {word!r}: no set of sequences; `mmbio list --data` says what each layout is")
        sets.append(trained_on(data))
    return join_sets(sets) if len(sets) > 1 else sets[0]


def join_sets(sets: list[SequenceSet]) -> SequenceSet:
    """Several sets as one, without those sequences that are there already; what is held out of one is held out of all."""
    if len({data.kind for data in sets}) > 1:
        raise UserError(f"{'+'.join(data.name for data in sets)}: proteins and molecules; expected one of them")
    kept: dict[str, int] = {}
    held: set[str] = set()
    for data in sets:
        held |= {data.texts[i] for i in data.held_out}
        for text in data.texts:
            kept.setdefault(text, len(kept))
    return SequenceSet(
        "+".join(data.name for data in sets),
        sets[0].kind,
        tuple(kept),
        held_out=tuple(sorted(kept[text] for text in held)),
        skipped=tuple(line for data in sets for line in data.skipped),
    )
