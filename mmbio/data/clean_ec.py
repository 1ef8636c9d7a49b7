"""Enzymes with their EC numbers, in the tables of CLEAN."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import UserError
from core.files import plain_or_packed
from mmbio.data.named import Named
from mmbio.data.sets import LabelledSequences
from mmbio.data.splits import complete
from mmbio.data.tables import read_table
from mmbio.proteins.alphabet import clean

CLASSES = ("oxidoreductase", "transferase", "hydrolase", "lyase", "isomerase", "ligase", "translocase")
"""Names of the first digits of EC numbers, 1 to 7."""


def clean_ec(path: str, train: str = "split10.csv", test: str = "new.csv") -> LabelledSequences:
    """The first digit of enzymes' EC numbers: a folder with CLEAN's ``split10.csv`` (train) and ``new.csv`` (test).

    The tables are tab separated: Entry, EC number (several joined by ;), Sequence. An enzyme whose numbers begin with
    different digits has no one class and is left out; so is one of the test part whose sequence is in the other table. A
    tenth of the training table is drawn for validation.

    Raises:
        UserError: a missing table or column, an EC number without a first digit of 1 to 7, a bad sequence, an entry
            that is in a table twice with another sequence or other numbers; with file and line.

    Source: Yu et al., "Enzyme function prediction using contrastive learning", Science 2023; app/data of its repository.
    """
    texts: list[str] = []
    labels: list[int] = []
    parts: list[str] = []
    names: list[str] = []
    skipped: list[str] = []
    learned: set[str] = set()
    for file, part in ((train, "train"), (test, "test")):
        table = read_table(plain_or_packed(Path(path) / file))
        known = Named(skipped)
        entries, numbers, sequences = (table.column(name) for name in ("Entry", "EC number", "Sequence"))
        for row, (entry, number, sequence) in enumerate(zip(entries, numbers, sequences, strict=True)):
            digits = first_digits(number, table.where(row))
            try:
                text = clean(sequence)
            except UserError as error:
                raise UserError(f"{table.where(row)}: {entry}: {error}") from error
            if entry and not known.is_new(entry, (text, number), table.where(row)):
                continue
            if len(digits) > 1:
                skipped.append(f"{table.where(row)}: {entry}: classes {', '.join(map(str, sorted(digits)))}")
            elif part == "test" and text in learned:
                skipped.append(f"{table.where(row)}: {entry}: its sequence is in {train}")
            else:
                texts.append(text)
                labels.append(digits.pop() - 1)
                parts.append(part)
                names.append(entry)
            if part == "train":
                learned.add(text)
    return LabelledSequences(
        path,
        "protein",
        tuple(texts),
        "classes",
        np.array(labels, dtype=np.int64),
        *complete(parts, texts),
        CLASSES,
        tuple(names),
        tuple(skipped),
    )


def first_digits(numbers: str, where: str) -> set[int]:
    """The first digits of EC numbers that are joined by ``;``.

    Raises:
        UserError: one does not begin with 1 to 7, naming ``where``.
    """
    found = set()
    for number in numbers.split(";"):
        first = number.strip().split(".")[0]
        if first not in tuple("1234567"):
            raise UserError(
                f"{where}: EC number {number.strip()!r}; expected one that begins with 1 to 7, such as 3.5.2.6"
            )
        found.add(int(first))
    return found
