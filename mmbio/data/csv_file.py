"""Sequences of any table, with labels or without."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from core.config import did_you_mean
from core.errors import UserError
from mmbio.data.sets import Kind, LabelledSequences, SequenceSet, Task
from mmbio.data.splits import complete, part_named
from mmbio.data.tables import MISSING, TextTable, numbers, read_table, yes_or_no
from mmbio.proteins.alphabet import clean

KEYS = ("text", "label", "split", "validation", "kind", "task")


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
    """

    text: str = "sequence"
    labels: tuple[str, ...] = ()
    split: str | None = None
    validation: str | None = None
    kind: Kind = "protein"
    task: Task | None = None


@dataclass
class _Kept:
    """What of a table is used."""

    texts: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def csv_file(word: str) -> SequenceSet | LabelledSequences:
    """Sequences of a table as a source word tells, ``path.csv,text=sequence,label=target,task=values,split=set``.

    Keys: ``text`` (column of the sequences, "sequence" by default), ``kind`` (protein or molecule), ``label`` (its column;
    several times for several), ``task`` (what labels are: classes, values, binary or residues), ``split`` (column that says
    train, validation or test) and ``validation`` (column that is true for those of the training part that choose).

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
    changed: dict[str, Any] = {"labels": (*columns.labels, value)} if key == "label" else {key: value}
    return replace(columns, **changed)


def labelled_table(table: TextTable, columns: Columns, name: str) -> SequenceSet | LabelledSequences:
    """The sequences of a table, labelled where label columns are named.

    Proteins are read by the rule of :func:`~mmbio.proteins.alphabet.clean`. Rows without any label are left out and
    counted. Parts that no row is named for are drawn, 10 % of the training part each, equal sequences together; of equal
    sequences in several parts, which drawn parts never have, nothing is changed.

    Raises:
        UserError: a column that is not there, an empty text, a character that is no residue, a label that is no number,
            an unknown part; with file and line.
    """
    raw = table.column(columns.text)
    labels, missing = _labels(table, columns)
    kept = _Kept()
    for row, text in enumerate(raw):
        if missing[row]:
            kept.skipped.append(f"{table.where(row)}: no label")
            continue
        kept.texts.append(_text(text, columns.kind, f"{table.where(row)}, {columns.text}"))
        kept.rows.append(row)
    names = tuple(f"line {table.lines[row]}" for row in kept.rows)
    texts, skipped = tuple(kept.texts), tuple(kept.skipped)
    if not columns.labels or columns.task is None:
        return SequenceSet(name, columns.kind, texts, names, skipped=skipped)
    parts = complete(_parts(table, columns, kept.rows), texts)
    if columns.task == "residues":
        found: NDArray | tuple[NDArray[np.integer], ...]
        found, classes = residue_classes([table.column(columns.labels[0])[row] for row in kept.rows])
    elif columns.task == "classes":
        classes = tuple(sorted({str(labels[row]) for row in kept.rows}))
        number = {label: i for i, label in enumerate(classes)}
        found = np.array([number[str(labels[row])] for row in kept.rows], dtype=np.int64)
    else:
        found, classes = np.array([labels[row] for row in kept.rows], dtype=np.float64), columns.labels
    return LabelledSequences(name, columns.kind, texts, columns.task, found, *parts, classes, names, skipped)


def residue_classes(labels: list[str]) -> tuple[tuple[NDArray[np.integer], ...], tuple[str, ...]]:
    """Strings of one character a residue as classes, in the order of the characters; and these."""
    classes = tuple(sorted(set("".join(labels))))
    number = {letter: i for i, letter in enumerate(classes)}
    return tuple(np.array([number[letter] for letter in label], dtype=np.int64) for label in labels), classes


def _labels(table: TextTable, columns: Columns) -> tuple[list, list[bool]]:
    """Label of every row (a text, or numbers), and whether it has none at all."""
    task = columns.task
    if task is None:
        return [None] * len(table.rows), [False] * len(table.rows)
    if task in ("classes", "residues"):
        if len(columns.labels) > 1:
            raise UserError(f"{table.path}: task {task} has one column of labels; got {', '.join(columns.labels)}")
        cells = table.column(columns.labels[0])
        return cells, [cell.lower() in MISSING for cell in cells]
    if task == "binary":
        rows = yes_or_no(table, columns.labels)
    else:
        rows = [list(row) for row in zip(*(numbers(table, c) for c in columns.labels), strict=True)]
    return rows, [all(map(math.isnan, row)) for row in rows]


def _text(text: str, kind: Kind, where: str) -> str:
    if not text:
        raise UserError(f"{where}: is empty; expected a sequence")
    try:
        return clean(text) if kind == "protein" else text
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _parts(table: TextTable, columns: Columns, rows: list[int]) -> list[str]:
    if columns.split is None:
        return ["train"] * len(rows)
    split = table.column(columns.split)
    chooses = [""] * len(split) if columns.validation is None else table.column(columns.validation)
    found = []
    for row in rows:
        part = part_named(split[row], table.where(row))
        if chooses[row].lower() not in (*MISSING, "0", "false", "1", "true"):
            raise UserError(
                f"{table.where(row)}: {columns.validation} {chooses[row]!r}; expected True, False or nothing"
            )
        found.append("validation" if part == "train" and chooses[row].lower() in ("1", "true") else part)
    return found
