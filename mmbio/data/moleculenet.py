"""MoleculeNet: properties of molecules, split by scaffolds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.config import did_you_mean
from core.errors import UserError
from core.random import generator
from mmbio.data.sets import LabelledSequences, Task, without_leaks
from mmbio.data.smiles import find_column
from mmbio.data.tables import TextTable, answer_of, number_of, read_table
from mmbio.molecules.chemistry import canonical, parse
from mmbio.molecules.scaffold import random_scaffold_split, scaffold_groups, scaffold_split


class Known(NamedTuple):
    """What is asked of a set: the task, and the columns of labels, those of the first line that is there; none for all others."""

    task: Task
    columns: tuple[tuple[str, ...], ...] = ()


TOX21_NUCLEAR = ("NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma")
TOX21 = (*TOX21_NUCLEAR, "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53")
MUV = tuple(f"MUV-{n}" for n in (466, 548, 600, 644, 652, 689, 692, 712, 713, 733, 737, 810, 832, 846, 852, 858, 859))
DELANEY = Known("values", (("measured log solubility in mols per litre",), ("logp",)))
FREESOLV = Known("values", (("expt",), ("freesolv",)))
LIPO = Known("values", (("exp",), ("lipo",)))
PDBBIND = Known("values", (("-logKd/Ki",),))
SETS: dict[str, Known] = {
    "bbbp": Known("binary", (("p_np",),)),
    "bace": Known("binary", (("Class",),)),
    "clintox": Known("binary", (("FDA_APPROVED", "CT_TOX"),)),
    "sider": Known("binary"),
    "tox21": Known("binary", (TOX21,)),
    "toxcast": Known("binary"),
    "toxcast_data": Known("binary"),
    "hiv": Known("binary", (("HIV_active",),)),
    "muv": Known("binary", (MUV,)),
    "esol": DELANEY,
    "delaney": DELANEY,
    "delaney-processed": DELANEY,
    "freesolv": FREESOLV,
    "sampl": FREESOLV,
    "lipo": LIPO,
    "lipophilicity": LIPO,
    "qm8": Known("values"),
    "pdbbind": PDBBIND,
    "pdbbind_refined": PDBBIND,
}
"""Sets by the name of their file without its endings, in small letters."""


def moleculenet(
    path: str, random_seed: int | None = None, respell: bool = True, skip: bool = False
) -> LabelledSequences:
    """A set of MoleculeNet, known by its file's name, as DeepChem distributes it: a table with SMILES and labels.

    80 % of the molecules are for training, 10 % for validation, 10 % for tests, whole scaffolds each
    (:func:`~mmbio.molecules.scaffold.scaffold_split`). Molecules of one atom or of several fragments stay, those that rdkit
    cannot read are left out and counted. Empty cells are missing labels. A column whose heading is there already is left
    out: QM8 has the four of PBE0 twice.

    Args:
        path: such as ``moleculenet/bbbp.csv.gz``.
        random_seed: for scaffolds in random order; None for the split that has no chance in it.
        respell: take rdkit's canonical spelling without stereo chemistry, as MolFormer's code does and MOSES is written;
            otherwise molecules stay as the file spells them. The split is that of the file's spelling in either case, but for
            molecules that read alike without stereo chemistry: of those in two parts the later part has them
            (:func:`~mmbio.data.sets.without_leaks`).
        skip: leave out and count molecules with labels that cannot be used as well; otherwise they are errors. What rdkit
            cannot read is left out in either case, as the published files hold some.

    Raises:
        UserError: a file of another name or without the columns, and, unless skipped, labels that are no numbers, or neither
            0 nor 1 where the set asks yes or no; each with file and line.

    Source: Wu et al., "MoleculeNet", Section 3; the split of Hu et al., "Strategies for Pre-training Graph Neural Networks",
    Section 5.1.
    """
    file = Path(path)
    name = file.name.lower().removesuffix(".gz").removesuffix(".csv")
    if name not in SETS:
        raise UserError(f"{file}: its name is of no set of MoleculeNet{did_you_mean(name, SETS)}")
    known = SETS[name]
    table = read_table(file)
    heading = table.columns
    place = find_column(heading, None, str(file))
    columns = _label_columns(heading, place, known, file)
    texts = [row[place] for row in table.rows]
    groups = scaffold_groups(texts)
    rows: list[int] = []
    labelled: list[list[float]] = []
    skipped: list[str] = []
    for row in range(len(texts)):
        if groups[row] < 0:
            skipped.append(_why(texts[row], table.where(row)))
            continue
        try:
            labelled.append(_labels(table, row, columns, known.task))
            rows.append(row)
        except UserError as error:
            if not skip:
                raise
            skipped.append(str(error))
    kept, labels = np.array(rows, dtype=np.int64), np.array(labelled).reshape(-1, len(columns))
    draws = None if random_seed is None else generator(random_seed, "scaffolds")
    split = scaffold_split(groups[kept]) if draws is None else random_scaffold_split(groups[kept], draws)
    return without_leaks(
        LabelledSequences(
            name,
            "molecule",
            tuple(canonical(texts[i], stereo=False) if respell else texts[i] for i in kept),
            known.task,
            labels,
            *split,
            classes=tuple(heading[i] for i in columns),
            skipped=tuple(skipped),
        )
    )


def _label_columns(heading: Sequence[str], smiles: int, known: Known, file: Path) -> list[int]:
    for wanted in known.columns:
        if set(wanted) <= set(heading):
            return [heading.index(title) for title in wanted]
    if known.columns:
        wanted = known.columns[0]
        missing = ", ".join(title for title in wanted if title not in heading)
        raise UserError(f"{file}: no column {missing}; there are {', '.join(heading[:10])}")
    return [i for i, title in enumerate(heading) if i != smiles and title not in heading[:i] and title != "mol_id"]


def _labels(table: TextTable, row: int, columns: list[int], task: Task) -> list[float]:
    read, cells = answer_of if task == "binary" else number_of, table.rows[row]
    return [read(cells[column], f"{table.where(row)}: {table.columns[column]}") for column in columns]


def _why(text: str, where: str) -> str:
    try:
        parse(text)
    except UserError as error:
        return f"{where}: {error}"
    return f"{where}: no molecule"
