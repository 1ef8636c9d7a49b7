"""The substitution matrix BLOSUM62."""

from __future__ import annotations

ORDER = "ARNDCQEGHILKMFPSTWYV"

LOWER = """
 4
-1  5
-2  0  6
-2 -2  1  6
 0 -3 -3 -3  9
-1  1  0  0 -3  5
-1  0  0  2 -4  2  5
 0 -2  0 -1 -3 -2 -2  6
-2  0  1 -1 -3  0  0 -2  8
-1 -3 -3 -3 -1 -3 -3 -4 -3  4
-1 -2 -3 -4 -1 -2 -3 -4 -3  2  4
-1  2  0 -1 -3  1  1 -2 -1 -3 -2  5
-1 -1 -2 -3 -1  0 -2 -3 -2  1  2 -1  5
-2 -3 -3 -3 -2 -3 -3 -3 -1  0  0 -3  0  6
-1 -2 -2 -1 -3 -1 -1 -2 -2 -3 -3 -1 -2 -4  7
 1 -1  1  0 -1  0  0  0 -1 -2 -2  0 -1 -2 -1  4
 0 -1  0 -1 -1 -1 -1 -2 -2 -1 -1 -1 -1 -2 -1  1  5
-3 -3 -4 -4 -2 -2 -3 -2 -2 -3 -2 -3 -1  1 -4 -3 -2 11
-2 -2 -2 -3 -2 -1 -2 -3  2 -1 -1 -2 -1  3 -3 -2 -2  2  7
 0 -3 -3 -3 -1 -2 -2 -3 -3  3  1 -2  1 -1 -2 -2  0 -3 -1  4
"""
"""Rows in the order of ARNDCQEGHILKMFPSTWYV, up to the diagonal."""


def blosum62() -> dict[tuple[str, str], int]:
    """Scores of all pairs of the twenty amino acids, in both orders.

    Source: Henikoff and Henikoff, "Amino acid substitution matrices from protein blocks", PNAS 1992.
    """
    found = {}
    for row, line in zip(ORDER, LOWER.strip().splitlines(), strict=True):
        for column, value in zip(ORDER, line.split(), strict=False):
            found[row, column] = found[column, row] = int(value)
    return found
