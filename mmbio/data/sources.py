"""Data by a word of the command line: ``fasta:proteins.fasta``, ``flip_ss:path/secondary_structure``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from core.config import did_you_mean
from core.errors import UserError
from mmbio.data.antibodies import antibodies
from mmbio.data.clean_ec import clean_ec
from mmbio.data.covabdab import covabdab
from mmbio.data.csv_file import csv_file
from mmbio.data.fasta import fasta
from mmbio.data.flip import flip_values
from mmbio.data.flip_residues import LIGANDS, flip_bind, flip_conservation, flip_ss
from mmbio.data.genome import genome
from mmbio.data.moleculenet import moleculenet
from mmbio.data.msa import msa
from mmbio.data.multiloc import multiloc, multiloc_independent
from mmbio.data.nci_properties import nci_properties
from mmbio.data.sets import (
    AntibodySet,
    LabelledSequences,
    SequenceSet,
    loop_of,
    texts_of_test,
    trained_on,
    without_leaks,
)
from mmbio.data.smiles import moses, nci, smiles
from mmbio.data.structures import structures
from mmbio.data.tape import tape
from mmbio.data.tape_contacts import tape_contacts
from mmbio.data.variants import variants
from mmbio.proteins.loops import like_any, shown_in

Loaded = Any  # SequenceSet, LabelledSequences, and what other layouts give

LAYOUTS: dict[str, tuple[Callable[[str], Loaded], str]] = {
    "genome": (lambda path: genome(), "2,100 proteins of a bacterium that pyhmmer comes with; needs no path"),
    "fasta": (fasta, "FASTA file, plain or .gz, or a folder of them; a bad record is an error"),
    "fasta_skip": (lambda path: fasta(path, skip=True), "the same; bad records are left out and counted"),
    "structures": (structures, "protein structures to read contacts from: .npz, PDB or mmCIF, or a folder of these"),
    "variants": (variants, "deep mutational scan: scan.csv[,wild_type.fasta[,column of the score]]"),
    "smiles": (
        smiles,
        "file of SMILES: .smi, .txt, .csv or .tsv (file.csv@column), plain or .gz; a bad line is an error",
    ),
    "smiles_skip": (lambda path: smiles(path, skip=True), "the same; bad lines are left out and counted"),
    "smiles_canonical": (
        lambda path: smiles(path, respell=True),
        "the same, each molecule in rdkit's canonical spelling",
    ),
    "smiles_canonical_skip": (
        lambda path: smiles(path, skip=True, respell=True),
        "the same, canonical; bad lines are left out and counted",
    ),
    "nci": (nci, "5,000 molecules that come with rdkit; needs no path"),
    "nci_properties": (lambda path: nci_properties(), "the same with logP, TPSA and QED, as rdkit computes them"),
    "moses": (moses, "folder of MOSES: train.csv and test.csv, plain or .gz"),
    "moleculenet": (
        moleculenet,
        "a file of MoleculeNet, known by its name (bbbp.csv.gz); scaffold split 8:1:1; bad labels are an error",
    ),
    "moleculenet_skip": (
        lambda path: moleculenet(path, skip=True),
        "the same; molecules with labels that cannot be used are left out as well, and counted",
    ),
    "moleculenet_as_is": (
        lambda path: moleculenet(path, respell=False),
        "the first again, molecules as the file spells them, not canonical without stereo chemistry",
    ),
    "moleculenet_random": (
        lambda path: moleculenet(path, random_seed=0),
        "canonical again; scaffolds in random order, drawn once for all",
    ),
    "antibodies": (antibodies, "JSON lines of antibodies (seq, cdr), a folder with train, val and test, or an .npz"),
    "covabdab": (covabdab, "CSV of CoV-AbDab: heavy chains of antibodies against coronaviruses"),
    "msa": (
        msa,
        "alignments: a folder of .a3m files, plain or .gz, or one alignment, also as aligned FASTA; a bad one is an error",
    ),
    "msa_skip": (lambda path: msa(path, skip=True), "the same; bad alignments of a folder are left out and counted"),
    "tape": (
        tape,
        "folder of one of TAPE's tasks in JSON (secondary_structure_train.json, ...), or one of its test files",
    ),
    "tape_contacts": (
        tape_contacts,
        "TAPE's contact task, a folder with proteinnet_train.json and proteinnet_test.json",
    ),
    "csv": (csv_file, "any table: path.csv,text=COLUMN,label=COLUMN,task=values,split=COLUMN,kind=protein"),
    "flip_gb1": (flip_values, "FLIP: the fitness of GB1 (or AAV), the CSV file of a split"),
    "flip_meltome": (flip_values, "FLIP: melting temperatures, a CSV file"),
    "flip_ss": (flip_ss, "FLIP: secondary structure of residues, the folder"),
    "flip_ss_all": (lambda path: flip_ss(path, masked=False), "the same, residues without coordinates scored as coil"),
    "flip_conservation": (flip_conservation, "FLIP: conservation of residues, the folder"),
    "flip_bind": (flip_bind, "FLIP: residues that bind any ligand, the folder or the file of a split"),
    **{
        f"flip_bind_{ligand}": (partial(flip_bind, ligand=ligand), f"the same, ligands of kind {ligand}")
        for ligand in LIGANDS
    },
    "clean_ec": (clean_ec, "CLEAN: first digits of EC numbers, a folder with split10.csv and new.csv"),
    "multiloc": (multiloc, "locations in the cell, a folder with a FASTA file for each"),
    "multiloc_independent": (multiloc_independent, "the folder of MultiLoc, its second set as test"),
}
"""Loaders by name, with a description."""

WITHOUT_PATH: tuple[str, ...] = ("genome", "nci", "nci_properties")
"""Layouts that are built in."""


def names_data(word: str) -> bool:
    """Whether a word is a built-in set or begins with a layout; other words are files or texts, as the command has it."""
    return word in WITHOUT_PATH or (":" in word and word.split(":")[0] in LAYOUTS)


def load(source: str) -> Loaded:
    """The data that a source word names; of labelled sequences no text is in two parts
    (:func:`~mmbio.data.sets.without_leaks`).

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
    data = LAYOUTS[name][0](path)
    return without_leaks(data) if isinstance(data, LabelledSequences) else data


def load_texts(source: str) -> SequenceSet:
    """Sequences to learn from, of one source or of several joined by ``+``; of equal sequences the first stays.

    Labelled sets give their training part, and their validation part as held out; a sequence that is in the test part of
    one is left out of all.

    Raises:
        UserError: as :func:`load`, data that is no sequences, or proteins together with molecules.
    """
    sets: list[SequenceSet] = []
    tests: set[str] = set()
    for word in source.split("+"):
        data = load(word)
        if not isinstance(data, SequenceSet | LabelledSequences | AntibodySet):
            raise UserError(f"data {word!r}: no set of sequences; `mmbio list --data` says what each layout is")
        sets.append(trained_on(data))
        tests |= texts_of_test(data)
    return join_sets(sets, tests) if len(sets) > 1 else sets[0]


def join_sets(sets: list[SequenceSet], without: Collection[str] = ()) -> SequenceSet:
    """Several sets as one, without those sequences that are there already; what is held out of one is held out of all.

    Where some have regions all do: of equal sequences those regions stay that say more, and sequences of sets without
    regions are in none. Proteins with a CDR-H3 that another set holds apart (:func:`too_like`) are left out and said so.

    Args:
        without: sequences to leave out.
    """
    if len({data.kind for data in sets}) > 1:
        raise UserError(f"{'+'.join(data.name for data in sets)}: proteins and molecules; expected one of them")
    kept: dict[str, tuple[str, str]] = {}
    held: set[str] = set()
    skipped = [line for data in sets for line in data.skipped]
    for data in sets:
        held |= {data.texts[i] for i in data.held_out}
        avoided = too_like(data, [other for other in sets if other is not data])
        tested = sum(text in without for text in data.texts)
        if avoided:
            skipped.append(f"{data.name}: {len(avoided)} sequences with a CDR-H3 like one that is held apart elsewhere")
        if tested:
            skipped.append(f"{data.name}: {tested} sequences that are tested on elsewhere")
        for number, text in enumerate(data.texts):
            regions = data.regions[number] if data.regions else "0" * len(text)
            usable = number not in avoided and text not in without
            if usable and (text not in kept or inside(regions) > inside(kept[text][0])):
                kept[text] = regions, data.called(number)
    order = {text: number for number, text in enumerate(kept)}
    return SequenceSet(
        "+".join(data.name for data in sets),
        sets[0].kind,
        tuple(kept),
        tuple(name for _, name in kept.values()),
        regions=tuple(regions for regions, _ in kept.values()) if any(data.regions for data in sets) else (),
        held_out=tuple(sorted(order[text] for text in held if text in order)),
        skipped=tuple(skipped),
        apart=tuple(sorted({loop for data in sets for loop in data.apart})),
    )


def inside(regions: str) -> int:
    """How many residues are in a region."""
    return len(regions) - regions.count("0")


SHORTEST = 6
"""A CDR-H3 of fewer residues is not looked for in proteins whose loops are not known: it would be found by chance."""


def too_like(data: SequenceSet, others: list[SequenceSet]) -> set[int]:
    """Sequences of a set, not held out there, that have a CDR-H3 like one that other sets hold apart.

    Where a sequence's own CDR-H3 is known, one that is alike (:func:`~mmbio.proteins.loops.alike`); where it is not, also in
    sets without regions, one of :data:`SHORTEST` residues or more that stands anywhere in it, letter by letter.
    """
    apart = sorted({loop for other in others for loop in other.apart})
    if not apart:
        return set()
    loops = (
        [loop_of(*both) for both in zip(data.texts, data.regions, strict=True)] if data.regions else [""] * len(data)
    )
    like = like_any(loops, apart)
    shows = shown_in([text if not loop else "" for text, loop in zip(data.texts, loops, strict=True)], apart, SHORTEST)
    return {i for i in range(len(data)) if like[i] or shows[i]} - set(data.held_out)
