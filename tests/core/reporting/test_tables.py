from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.metrics import mean_std
from core.reporting.tables import Table


def test_text_is_aligned() -> None:
    table = Table(("name", "accuracy"), [("long name", 0.123456), ("b", None), ("c", 12)])
    assert table.text().split("\n") == [
        "name       accuracy",
        "---------  --------",
        "long name    0.1235",
        "b                 –",
        "c                12",
        "",
    ]


def test_markdown_escapes_what_would_break_the_table() -> None:
    table = Table(("a|b", "n"), [("x\ny <z>", 1.5), ("plain", np.float32(2.25))])
    assert table.markdown() == "| a\\|b | n |\n| --- | ---: |\n| x y &lt;z&gt; | 1.5 |\n| plain | 2.25 |\n"


def test_html_escapes_and_marks_numbers() -> None:
    html = Table(("name", "score"), [("<script>alert(1)</script>", mean_std([0.5, 0.7]))]).html()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert '<td class="number">0.600 ± 0.100</td>' in html
    assert '<th class="number">score</th>' in html


def test_no_rows_is_a_table_too() -> None:
    table = Table(("a", "b"), [])
    assert table.text() == "a  b\n-  -\n"
    assert table.markdown() == "| a | b |\n| --- | --- |\n"


def test_rows_have_as_many_cells_as_there_are_columns() -> None:
    with pytest.raises(ValueError, match="row 1 has 1 cells for 2 columns"):
        Table(("a", "b"), [(1, 2), (1,)])
