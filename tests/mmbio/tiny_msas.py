"""Small alignments that tests share."""

from __future__ import annotations

from pathlib import Path

import torch

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def random_rows(rows: int, columns: int, seed: int = 0) -> list[str]:
    """A query and rows that have its letter in most columns, another or a gap in the rest."""
    draws = torch.Generator().manual_seed(seed)
    query = [LETTERS[int(i)] for i in torch.randint(20, (columns,), generator=draws)]
    found = ["".join(query)]
    for _ in range(rows - 1):
        kinds = torch.rand(columns, generator=draws).tolist()
        others = torch.randint(20, (columns,), generator=draws).tolist()
        row = [c if k < 0.7 else "-" if k < 0.85 else LETTERS[o] for c, k, o in zip(query, kinds, others, strict=True)]
        found.append("".join(row))
    return found


def write_a3m(path: Path, rows: list[str]) -> Path:
    path.write_text("".join(f">row{number}\n{row}\n" for number, row in enumerate(rows)))
    return path
