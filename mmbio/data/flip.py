"""Data of FLIP whose proteins have a value each: GB1, AAV, meltome."""

from __future__ import annotations

from core.errors import UserError
from mmbio.data.csv_file import Columns, labelled_table
from mmbio.data.sets import LabelledSequences
from mmbio.data.tables import read_table


def flip_values(path: str) -> LabelledSequences:
    """A CSV file of FLIP: columns ``sequence``, ``target`` and ``set``, and ``validation`` where there is one.

    Parts that the file does not name (meltome has no validation, one of its files no test) are drawn from the training
    part, 10 % each; the file has a protein once for every cell line it was measured in, and these stay together.

    Raises:
        UserError: as :func:`~mmbio.data.csv_file.labelled_table`.

    Source: Dallago et al., "FLIP: Benchmark tasks in fitness landscape inference for proteins", NeurIPS Datasets and
    Benchmarks 2021; the README files of the splits in its repository.
    """
    table = read_table(path)
    validation = "validation" if "validation" in table.columns else None
    columns = Columns("sequence", ("target",), "set", validation, "protein", "values")
    found = labelled_table(table, columns, path)
    if not isinstance(found, LabelledSequences):
        raise UserError(f"{path}: no labels")
    return found
