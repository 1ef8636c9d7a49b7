"""Sequences of any table, with labels or without."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from core.config import did_you_mean
from core.errors import UserError
from mmbio.data.sets import Kind, LabelledSequences, SequenceSet, Task, without_leaks
from mmbio.data.splits import complete, part_named
from mmbio.data.tables import MISSING, TextTable, answer_of, number_of, read_table
from mmbio.molecules.chemistry import parse
from mmbio.proteins.alphabet import clean

KEYS = ("text", "label", "split", "validation", "kind", "task", "bad")


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are read, and as what.

    Args:
        text: the sequences.
        labels: none for sequences without labels; several for ``values`` and ``binary``.
        split: says train, validation or test; None where parts are drawn.
        validation: true where a sequence of the training part is for validation; None where there is no such column.
        kind: what the sequences are.
        task: what the labels are.
        skip: leave out rows that cannot be used, and count them; otherwise they are errors.
    """

    text: str = "sequence"
    labels: tuple[str, ...] = ()
    split: str | None = None
    validation: str | None = None
    kind: Kind = "protein"
    task: Task | None = None
    skip: bool = False


def csv_file(word: str) -> SequenceSet | LabelledSequences:
    """Sequences of a table as a source word tells, ``path.csv,text=sequence,label=target,task=values,split=set``.

    Keys: ``text`` (column of the sequences, "sequence" by default), ``kind`` (protein or molecule), ``label`` (its column;
    several times for several), ``task`` (what labels are: classes, values, binary or residues), ``split`` (column that says
    train, validation or test), ``validation`` (column that is true for those of the training part that choose) and
    ``bad=skip`` (rows whose sequence, label or part cannot be read are left out and counted).

    Raises:
        UserError: an unknown key, and what :func:`labelled_table` raises.
    """
    words = word.split(",")
    first = next((i for i, part in enumerate(words) if "=" in part), len(words))
    path, columns = ",".join(words[:first]), Columns()
    for part in words[first:]:
        key, _, value = part.partition("=")
        if key not in KEYS:
            raise UserError(f"data csv:{word}: unknown key {key!r}{did_you_mean(key, KEYS)}")
        if not value:
            raise UserError(f"data csv:{word}: {key} has no value; write {key}=VALUE")
        columns = _with(columns, key, value, word)
    if columns.labels and columns.task is None:
        raise UserError(f"data csv:{word}: what are the labels? Add task=classes, values, binary or residues")
    if columns.task and not columns.labels:
        raise UserError(f"data csv:{word}: where are the labels? Add label=COLUMN")
    return labelled_table(read_table(path), columns, path)


def _with(columns: Columns, key: str, value: str, word: str) -> Columns:
    for name, known in (("kind", get_args(Kind)), ("task", get_args(Task))):
        if key == name and value not in known:
            raise UserError(f"data csv:{word}: {key} {value!r}; expected one of {', '.join(known)}")
    if key == "bad":
        if value != "skip":
            raise UserError(f"data csv:{word}: bad {value!r}; expected bad=skip, or no such key: bad rows are errors")
        return replace(columns, skip=True)
    changed: dict[str, Any] = {"labels": (*columns.labels, value)} if key == "label" else {key: value}
    return replace(columns, **changed)


def labelled_table(table: TextTable, columns: Columns, name: str) -> SequenceSet | LabelledSequences:
    """The sequences of a table, labelled where label columns are named.

    Proteins are read by the rule of :func:`~mmbio.proteins.alphabet.clean`; molecules must be what rdkit can read, and stay
    as they are spelled. Rows without any label are left out and counted. Parts that no row is named for are drawn, 10 % of
    the training part each, equal sequences together; of equal sequences in several parts the last part has them
    (:func:`~mmbio.data.sets.without_leaks`).

    Raises:
        UserError: a column that is not there, and, unless bad rows are skipped, an empty text, a character that is no
            residue, what is no molecule, a label that cannot be one, an unknown part; with file and line.
        MissingPackage: molecules, and rdkit is not installed.
    """
    if columns.task in ("classes", "residues") and len(columns.labels) > 1:
        raise UserError(f"{table.path}: task {columns.task} has one column of labels; got {', '.join(columns.labels)}")
    for column in (columns.text, *columns.labels, columns.split, columns.validation):
        if column is not None:
            table.place(column)
    rows: list[_Row] = []
    skipped: list[str] = []
    for number in range(len(table.rows)):
        try:
            row = _read(table, number, columns)
        except UserError as error:
            if not columns.skip:
                raise
            skipped.append(str(error))
            continue
        if row is None:
            skipped.append(f"{table.where(number)}: no label")
        else:
            rows.append(row)
    texts, names = tuple(row.text for row in rows), tuple(f"line {row.line}" for row in rows)
    if not columns.labels or columns.task is None:
        return SequenceSet(name, columns.kind, texts, names, skipped=tuple(skipped))
    found, classes = _labels([row.label for row in rows], columns)
    parts = complete([row.part for row in rows], texts)
    return without_leaks(
        LabelledSequences(
            name, columns.kind, texts, columns.task, found, *parts, classes, names=names, skipped=tuple(skipped)
        )
    )


class _Row(NamedTuple):
    """What is used of a row."""

    text: str
    label: Any
    part: str
    line: int


def _read(table: TextTable, number: int, columns: Columns) -> _Row | None:
    """A row, None where it has no label at all; with texts as labels of classes and residues, with numbers for others."""
    cells = dict(zip(table.columns, table.rows[number], strict=True))
    where = table.where(number)
    label: Any = [cells[column] for column in columns.labels]
    if columns.task in ("values", "binary"):
        read = answer_of if columns.task == "binary" else number_of
        label = [read(cell, f"{where}: {column}") for cell, column in zip(label, columns.labels, strict=True)]
        if all(map(math.isnan, label)):
            return None
    elif columns.task is not None:
        (label,) = label
        if label.lower() in MISSING:
            return None
    text = _text(cells[columns.text], columns.kind, f"{where}, {columns.text}")
    if columns.task == "residues" and len(label) != len(text):
        raise UserError(f"{where}: {len(label)} labels for the {len(text)} residues of its sequence")
    return _Row(text, label, _part(cells, columns, where), table.lines[number])


def _labels(given: list[Any], columns: Columns) -> tuple[NDArray | tuple[NDArray[np.integer], ...], tuple[str, ...]]:
    """Labels as :class:`~mmbio.data.sets.LabelledSequences` has them, and names of the classes or columns."""
    if columns.task == "residues":
        return residue_classes(given)
    if columns.task == "classes":
        classes = tuple(sorted(set(given)))
        return np.array([classes.index(label) for label in given], dtype=np.int64), classes
    return np.array(given, dtype=np.float64).reshape(-1, len(columns.labels)), columns.labels


def residue_classes(labels: list[str]) -> tuple[tuple[NDArray[np.integer], ...], tuple[str, ...]]:
    """Strings of one character a residue as classes, in the order of the characters; and these."""
    classes = tuple(sorted(set("".join(labels))))
    number = {letter: i for i, letter in enumerate(classes)}
    return tuple(np.array([number[letter] for letter in label], dtype=np.int64) for label in labels), classes


def _text(text: str, kind: Kind, where: str) -> str:
    if not text:
        raise UserError(f"{where}: is empty; expected a sequence")
    try:
        if kind == "protein":
            return clean(text)
        parse(text)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    return text


def _part(cells: dict[str, str], columns: Columns, where: str) -> str:
    if columns.split is None:
        return "train"
    part = part_named(cells[columns.split], where)
    chooses = "" if columns.validation is None else cells[columns.validation].lower()
    if chooses not in (*MISSING, "0", "false", "1", "true"):
        raise UserError(f"{where}: {columns.validation} {chooses!r}; expected True, False or nothing")
    return "validation" if part == "train" and chooses in ("1", "true") else part
