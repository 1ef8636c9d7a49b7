"""Tables as people have them: other separators, line ends, a byte order mark, gzip."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from core.errors import UserError
from mmbio.data.tables import TextTable, answer_of, number_of, read_table

PLAIN = "sequence,target\nMKV,1.5\nGGS,-2\n"


def numbers(table: TextTable, column: str) -> list[float]:
    return [number_of(cell, f"{table.where(row)}: {column}") for row, cell in enumerate(table.column(column))]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\n\n").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", " ; ").encode(),
        b'"sequence","target"\n"MKV","1.5"\n"GGS","-2"',
    ],
)
def test_all_say_the_same(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(content))
    for name in ("a.csv", "b.csv.gz"):
        table = read_table(tmp_path / name)
        assert table.columns == ("sequence", "target")
        assert table.column("sequence") == ["MKV", "GGS"]
        assert numbers(table, "target") == [1.5, -2.0]


def test_lines_count_blank_ones(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n\n1,2\n\n\n"3\n",oops\n')
    table = read_table(tmp_path / "a.csv")
    assert table.lines == (3, 7)
    with pytest.raises(UserError, match=r"a\.csv, line 7: b 'oops'; expected a number"):
        numbers(table, "b")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no rows"),
        ("sequence,target\n", "no rows"),
        ("a,b\n1,2\n\n1,2,3\n", "line 4: 3 cells; expected 2"),
    ],
)
def test_bad_tables(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(UserError, match=said):
        read_table(tmp_path / "a.csv")


def test_nearest_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(PLAIN)
    with pytest.raises(UserError, match=r"no column 'sequenc'; did you mean 'sequence'\?"):
        read_table(tmp_path / "a.csv").column("sequenc")
    with pytest.raises(UserError, match="cannot be read"):
        read_table(tmp_path / "none.csv")


def test_a_name_that_is_there_twice_is_an_error_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,a,b\n1,2,3\n")
    table = read_table(tmp_path / "a.csv")
    assert table.column("b") == ["3"]
    with pytest.raises(UserError, match="two columns 'a'"):
        table.column("a")


def test_a_cell_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n1,"' + "C" * 200_000 + '"\n')
    with pytest.raises(UserError, match=r"a\.csv, line 2: field larger"):
        read_table(tmp_path / "a.csv")


def test_missing_and_infinite(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n,1\nNA,0\nnan,\n")
    table = read_table(tmp_path / "a.csv")
    assert all(math.isnan(value) for value in numbers(table, "a"))
    assert [answer_of(cell, "b") for cell in table.column("b")][:2] == [1.0, 0.0]
    assert math.isnan(answer_of("", "b"))
    (tmp_path / "a.csv").write_text("a\ninf\n")
    with pytest.raises(UserError, match="line 2: a 'inf'"):
        numbers(read_table(tmp_path / "a.csv"), "a")
    with pytest.raises(UserError, match=r"line 2: b '2'; expected 0, 1 or nothing"):
        answer_of("2", "line 2: b")
