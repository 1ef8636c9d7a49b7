"""Antibodies with their loops: RefineGNN's JSON lines, and arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.files import open_text
from core.random import generator
from mmbio.data.arrays import read_arrays
from mmbio.data.sets import AntibodySet, SequenceSet, loop_of
from mmbio.proteins.alphabet import clean
from mmbio.proteins.loops import clusters

PARTS = ("train", "val", "test")


class Chain(NamedTuple):
    """A chain: its residues, their regions, its name, and the part it is set into ("" for none)."""

    text: str
    regions: str
    name: str
    part: str = ""


def antibodies(path: str) -> AntibodySet:
    """Antibodies' chains with CDRs marked.

    * ``.jsonl``, plain or ``.gz``: a JSON object a line with ``seq`` and ``cdr``, one digit a residue, 0 outside of the
      loops; ``pdb`` is the name. Coordinates are not read.
    * a folder with ``train_data.jsonl``, ``val_data.jsonl``, ``test_data.jsonl`` (also without ``_data``): the parts.
    * ``.npz`` with arrays ``seq`` and ``cdr``, and ``pdb`` and ``partition`` where there are some. A partition says what
      the sequence is for: ``hcdr3_test`` anywhere in it is the test part, ``hcdr3_val`` the validation part, anything else
      training; or plainly train, val, test.

    Where no parts are given, they are drawn: 80, 10 and 10 % of the chains, with all whose CDR-H3 are alike in one part
    (:func:`~mmbio.proteins.loops.clusters`). Of equal chains the first of the test part stays, then of validation, then of
    training. A chain whose loops are not marked (``cdr`` null) is left out and counted.

    Raises:
        UserError: no such file, a line that is no such record, a mark for fewer or more residues than there are.

    Source: wengong-jin/RefineGNN, data/sabdab.
    """
    place = Path(path)
    skipped: list[str] = []
    if place.is_dir():
        chains = [chain for part in PARTS for chain in _lines(_part(place, part), part, skipped)]
    elif place.suffix == ".npz":
        chains = _arrays(place)
    else:
        chains = _lines(place, "", skipped)
    return in_parts(str(path), chains, skipped)


def in_parts(name: str, chains: Sequence[Chain], skipped: Sequence[str]) -> AntibodySet:
    """Chains as a set: equal ones once, in the parts that they name, or in parts that are drawn."""
    rank = {"test": 0, "val": 1}
    kept: dict[str, Chain] = {}
    for chain in sorted(chains, key=lambda chain: rank.get(chain.part, 2)):
        kept.setdefault(chain.text, chain)
    found = list(kept.values())
    lines = list(skipped)
    if len(found) < len(chains):
        lines.append(f"{name}: {len(chains) - len(found)} chains that are there already")
    some = SequenceSet(
        name,
        "protein",
        tuple(chain.text for chain in found),
        tuple(chain.name for chain in found),
        tuple(chain.regions for chain in found),
        skipped=tuple(lines),
    )
    if any(chain.part for chain in found):
        parts = np.array([rank.get(chain.part, 2) for chain in found])
    else:
        parts = drawn_parts([loop_of(chain.text, chain.regions) for chain in found])
    return AntibodySet(some, *(np.flatnonzero(parts == number) for number in (2, 1, 0)))


def drawn_parts(loops: Sequence[str], share: float = 0.1) -> NDArray[np.integer]:
    """0, 1 or 2 (test, validation, training) for every loop; the same for every run, clusters undivided."""
    cluster = clusters(loops)
    _, members, sizes = np.unique(cluster, return_inverse=True, return_counts=True)
    wanted = int(share * len(loops))
    parts, filled = np.full(len(sizes), 2), [0, 0]
    for number in np.random.default_rng(_seed()).permutation(len(sizes)).tolist():
        for part in (0, 1):
            if filled[part] + sizes[number] <= wanted:
                parts[number] = part
                filled[part] += int(sizes[number])
                break
    return parts[members]


def _seed() -> int:
    return generator(0, "antibody parts").initial_seed()


def chain_of(seq: Any, cdr: Any, name: str, part: str, where: str) -> Chain:
    """A chain of a record.

    Raises:
        UserError: no residues, or marks that do not fit them, naming ``where``.
    """
    if not isinstance(seq, str) or not isinstance(cdr, str):
        raise UserError(f"{where}: expected texts 'seq' and 'cdr'")
    try:
        text = clean(seq)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if len(cdr) != len(text):
        raise UserError(f"{where}: {len(cdr)} marks of loops for {len(text)} residues; expected one a residue")
    if not cdr.isascii() or not cdr.isdigit():
        raise UserError(f"{where}: marks of loops other than digits")
    return Chain(text, cdr, name, part)


def _part(folder: Path, part: str) -> Path:
    for name in (f"{part}_data.jsonl", f"{part}.jsonl"):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise UserError(f"{folder}: no {part}_data.jsonl in it; expected JSON lines of train, val and test")


def _lines(path: Path, part: str, skipped: list[str]) -> list[Chain]:
    chains = []
    for number, line in enumerate(open_text(path).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UserError(f"{where}: not JSON ({error})") from error
        if not isinstance(record, dict) or "seq" not in record or "cdr" not in record:
            raise UserError(f"{where}: expected an object with 'seq' and 'cdr'")
        if record["cdr"] is None:
            skipped.append(f"{where}: its loops are not marked")
            continue
        name = str(record.get("pdb") or f"line-{number}")
        chains.append(chain_of(record["seq"], record["cdr"], name, part, where))
    return chains


def _arrays(path: Path) -> list[Chain]:
    found = read_arrays(path, ("seq", "cdr"), ("seq", "cdr", "pdb", "partition"))
    count = len(found["seq"])
    names = found["pdb"].tolist() if "pdb" in found else [f"chain-{i}" for i in range(count)]
    parts = [_part_of(word) for word in found["partition"].tolist()] if "partition" in found else [""] * count
    rows = zip(found["seq"].tolist(), found["cdr"].tolist(), names, parts, strict=True)
    return [chain_of(*row, f"{path}, chain {number}") for number, row in enumerate(rows)]


def _part_of(word: str) -> str:
    """The part that an entry of ``partition`` names, for CDR-H3 where it names several."""
    words = word.split("|")
    for part in ("test", "val"):
        if part in words or f"hcdr3_{part}" in words:
            return part
    return "train"
