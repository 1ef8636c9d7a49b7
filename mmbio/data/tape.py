"""TAPE's tasks, in the JSON form of its files."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.errors import UserError
from core.files import open_text, plain_or_packed
from mmbio.data.sets import LabelledSequences, Task, without_leaks
from mmbio.proteins.alphabet import clean


class TapeTask(NamedTuple):
    """A task: what its labels are, the column with them, and the test files, the one that papers report first."""

    task: Task
    column: str
    tests: tuple[str, ...]


TASKS = {
    "secondary_structure": TapeTask("residues", "ss3", ("cb513", "casp12", "ts115")),
    "remote_homology": TapeTask(
        "classes", "fold_label", ("test_fold_holdout", "test_family_holdout", "test_superfamily_holdout")
    ),
    "fluorescence": TapeTask("values", "log_fluorescence", ("test",)),
    "stability": TapeTask("values", "stability_score", ("test",)),
}


def tape(path: str) -> LabelledSequences:
    """One of TAPE's tasks with labels for sequences or residues, from a folder with ``TASK_train.json`` and so on.

    A file, plain or ``.gz``, is a list of records with ``primary`` and the label. Residues that ``valid_mask`` leaves out
    have no label; the official code, which ignores that mask for secondary structure, scores them.

    Args:
        path: the folder, or one of its test files where a task has several (``secondary_structure_casp12.json``); the
            folder alone means the first of them.

    The contacts of ProteinNet are read by the layout ``tape_contacts``.

    Raises:
        UserError: LMDB files, whose records are pickles that could execute code; no task's files; a record without a
            sequence or label, with file and number.

    Source: songlab-cal/tape, section "Raw Data" and tape/datasets.py.
    """
    given = Path(path)
    folder = given if given.is_dir() else given.parent
    name, test = _choose(given, folder)
    kind = TASKS[name]
    files = [part_file(folder, f"{name}_{part}") for part in ("train", "valid", test)]
    parts = [_records(file, kind) for file in files]
    sizes = np.cumsum([0, *map(len, parts)])
    texts, labels, names = zip(*[record for part in parts for record in part], strict=True)
    train, validation, tested = (np.arange(a, b) for a, b in itertools.pairwise(sizes))
    many: Any = labels
    classes: tuple[str, ...] = (kind.column,)
    if kind.task == "residues":
        classes = ("0", "1", "2")
    elif kind.task == "values":
        many = np.array(labels, dtype=np.float64).reshape(-1, 1)
    else:
        many = np.array(labels, dtype=np.int64)
        classes = tuple(str(number) for number in range(int(many.max()) + 1))
    called = str(given) if given.is_file() else str(folder)
    return without_leaks(
        LabelledSequences(called, "protein", texts, kind.task, many, train, validation, tested, classes, names)
    )


def _choose(given: Path, folder: Path) -> tuple[str, str]:
    """The task of a folder and the part that tests it."""
    if given.is_file():
        for name, kind in TASKS.items():
            for test in kind.tests:
                if given.name.removesuffix(".gz") == f"{name}_{test}.json":
                    return name, test
    elif given.is_dir():
        found = [n for n in TASKS if any((folder / f"{n}_train.json{gz}").is_file() for gz in ("", ".gz"))]
        if len(found) == 1:
            return found[0], TASKS[found[0]].tests[0]
        if len(found) > 1:
            raise UserError(f"{folder}: files of {' and '.join(found)}; expected those of one task")
    if given.suffix == ".lmdb" or any(folder.glob("*.lmdb")):
        raise UserError(
            f"{given}: LMDB, whose records are pickles that could execute code; take TAPE's raw data, the JSON files"
        )
    raise UserError(f"{given}: none of TAPE's tasks; expected a folder with TASK_train.json of {', '.join(TASKS)}")


def part_file(folder: Path, name: str) -> Path:
    """A part's JSON file, plain or gzipped."""
    path = plain_or_packed(folder / f"{name}.json")
    if path.is_file():
        return path
    raise UserError(f"{path}: no such file; expected it beside the other parts of the task")


def _records(path: Path, kind: TapeTask) -> list[tuple[str, Any, str]]:
    """(text, label, name) of every record of a file."""
    read = {"residues": _residues, "classes": _fold, "values": _value}[kind.task]
    return [
        (text, read_field(read, record, kind.column, len(text), where), name)
        for text, record, where, name in tape_records(path, (kind.column,))
    ]


class Record(NamedTuple):
    """A record of a file: its sequence, all that it holds, where it is, and its name."""

    text: str
    content: dict[str, Any]
    where: str
    name: str


def tape_records(path: Path, columns: Sequence[str]) -> list[Record]:
    """The records of one of TAPE's JSON files.

    Raises:
        UserError: not such a file, or a record without a sequence or one of the columns, with file and number.
    """
    try:
        content = json.loads(open_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, list) or not content:
        raise UserError(f"{path}: expected a list of records")
    found = []
    for number, record in enumerate(content):
        where = f"{path}, record {number}"
        wanted = " and ".join(map(repr, columns))
        if (
            not isinstance(record, dict)
            or not isinstance(record.get("primary"), str)
            or not record.keys() >= {*columns}
        ):
            raise UserError(f"{where}: expected a sequence 'primary' and {wanted}")
        try:
            text = clean(record["primary"])
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        found.append(Record(text, record, where, f"{path.name.split('.')[0]}/{record.get('id', number)}"))
    return found


def read_field(
    read: Callable[[Any, int, dict[str, Any]], Any], record: dict[str, Any], column: str, length: int, where: str
) -> Any:
    """A column of a record by a function of (value, residues, record); what it raises says where.

    Raises:
        UserError: the value is not what the function expects.
    """
    try:
        return read(record[column], length, record)
    except (TypeError, ValueError, IndexError, OverflowError, UserError) as error:
        raise UserError(f"{where}: {error}") from error


def _residues(label: Any, length: int, record: dict[str, Any]) -> np.ndarray:
    """Classes of residues, -1 where ``valid_mask`` says that a residue was not resolved."""
    classes = np.array(label, dtype=np.int64)
    valid = record.get("valid_mask")
    if classes.shape != (length,) or (valid is not None and len(valid) != length):
        raise UserError(f"{classes.size} labels for {length} residues")
    if classes.min() < -1 or classes.max() > 2:
        raise UserError(f"classes from {classes.min()} to {classes.max()}; expected 0, 1, 2, or -1 for none")
    return classes if valid is None else np.where(np.array(valid, dtype=bool), classes, -1)


def _fold(label: Any, length: int, record: dict[str, Any]) -> int:
    if int(label) < 0:
        raise UserError(f"class {label}; expected 0 or more")
    return int(label)


def _value(label: Any, length: int, record: dict[str, Any]) -> float:
    """TAPE writes numbers as lists of one."""
    value = float(label[0] if isinstance(label, list) else label)
    if not np.isfinite(value):
        raise UserError(f"{value}; expected a finite number")
    return value
