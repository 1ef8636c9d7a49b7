"""CoV-AbDab: antibodies and nanobodies against coronaviruses."""

from __future__ import annotations

from core.errors import UserError
from mmbio.data.antibodies import Chain, in_parts
from mmbio.data.sets import AntibodySet
from mmbio.data.tables import MISSING, read_table
from mmbio.proteins.alphabet import capitals, clean
from mmbio.proteins.loops import heavy_loops

SEQUENCE, LOOP, NAME = "VH or VHH", "CDRH3", "Name"
NOTHING = MISSING | {"nd", "n/a"}


def covabdab(path: str) -> AntibodySet:
    """The heavy chains of CoV-AbDab's table, with CDR-H3 as the table names it and H1 and H2 found from it.

    Rows without a sequence (``ND``) are left out and counted. A CDR-H3 that is not in its sequence, or is there twice,
    leaves the loops unknown, region 0; so are H1 and H2 where :func:`~mmbio.proteins.loops.heavy_loops` does not find them.
    Parts are drawn as :func:`~mmbio.data.antibodies.antibodies` does.

    Raises:
        UserError: no such file, a table without the named columns, or characters that are no residues, with the line.

    Source: Raybould et al., "CoV-AbDab: the coronavirus antibody database", Bioinformatics 2021.
    """
    table = read_table(path)
    missing = [name for name in (SEQUENCE, LOOP) if name not in table.columns]
    if missing:
        raise UserError(f"{path}: no column {missing[0]!r}; expected CoV-AbDab's CSV")
    given = table.column(NAME) if NAME in table.columns else [""] * len(table.rows)
    chains, skipped = [], []
    for row, (name, seq, loop) in enumerate(zip(given, table.column(SEQUENCE), table.column(LOOP), strict=True)):
        where, name = table.where(row), name or f"line-{table.lines[row]}"
        if seq.lower() in NOTHING:
            skipped.append(f"{where}: {name} has no sequence")
            continue
        try:
            text = clean(seq)
        except UserError as error:
            raise UserError(f"{where}: {name}: {error}") from error
        chains.append(Chain(text, regions_of(text, capitals(loop)), name))
    if not chains:
        raise UserError(f"{path}: no heavy chain in it")
    return in_parts(path, chains, skipped)


def regions_of(text: str, third: str) -> str:
    """One digit a residue: 3 where the named CDR-H3 is, 1 and 2 where H1 and H2 are found, else 0."""
    regions = ["0"] * len(text)
    if third.lower() in NOTHING or text.count(third) != 1:
        return "".join(regions)
    begin = text.index(third)
    regions[begin : begin + len(third)] = "3" * len(third)
    found = heavy_loops(text, begin)
    for digit, (a, b) in zip("12", found or (), strict=False):
        regions[a:b] = digit * (b - a)
    return "".join(regions)
