"""The benchmarks' own machinery: what is timed, what the page says, what is read from machine code."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[1]
CODE = """
.L_x_0:
        /*0000*/                   IADD3 R1 ;
.L_x_1:
        /*0010*/                   SHFL.BFLY R2 ;
        /*0020*/               @P0 BRA `(.L_x_1) ;
        /*0030*/                   BAR.SYNC ;
        /*0040*/               @P1 BRA `(.L_x_0) ;
.L_x_2:
        /*0050*/                   BRA `(.L_x_2) ;
"""


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module(f"benchmarks.{name}")


def test_a_row_has_the_ratio_of_medians_against_every_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    timing = module("timing", monkeypatch)
    taken = iter([(1.0, 1.0), (9.0, 9.0), (9.0, 9.0), *[(5.0, 2.0), (8.0, 6.0), (5.0, 1.0)] * 3])
    monkeypatch.setattr(timing, "one_time", lambda *arguments: next(taken))
    case = timing.Case("case", lambda: 0, {"a": lambda: 0, "b": lambda: 0}, 2.0)
    row = timing.compare(case, torch.device("cpu"), 1, repeats=3, warmup=1)
    assert (row["clock"], row["ours"]["ms"]) == ("cpu", 2.0)
    assert [(peer["ratio"], peer["goal"]) for peer in row["peers"].values()] == [(3.0, 2.0), (0.5, None)]


def test_the_page_says_what_was_measured_and_what_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    render = module("render", monkeypatch)
    row = {"name": "case", "device": "cpu", "threads": 1, "ours": {"ms": 2.0}}
    row["peers"] = {"a 1.0": {"ms": 3000.0, "ratio": 1500.0, "goal": 2.0}, "b": {"ms": 1.0, "ratio": 0.5, "goal": None}}
    said = {"knn": {"title": "Neighbours", "rows": [row]}}
    assert render.speed_table(said, {})[2:] == [
        "| Neighbours: case | a 1.0 | 2x | 1500.00x (2.0 ms / 3.00 s) | not measured | not measured |",
        "| Neighbours: case | b |  | 0.50x (2.0 ms / 1.0 ms) | not measured | not measured |",
    ]
    peers = {name: peer | {"goal": 3.0} for name, peer in row["peers"].items()}
    on_gpu = {"knn": {"title": "Neighbours", "rows": [row | {"device": "cuda", "threads": 16, "peers": peers}]}}
    assert render.speed_table(said, on_gpu)[2].split(" | ")[2:3] == ["2x; 3x GPU"]
    assert render.speed_table(said, on_gpu)[2].count("not measured") == 1
    text = "a\n<!-- speed -->\nold\n<!-- end of speed -->\nb"
    assert render.put(text, "speed", ["new"]) == "a\n<!-- speed -->\n\nnew\n\n<!-- end of speed -->\nb"
    with pytest.raises(ValueError, match="no marks"):
        render.put("a", "speed", [])


def test_the_page_is_rendered_from_the_results_that_lie_there(monkeypatch: pytest.MonkeyPatch) -> None:
    render = module("render", monkeypatch)
    page = (ROOT / "benchmarks/README.md").read_text()
    tables = (
        render.speed_table(render.loaded("cpu"), render.loaded("cuda")),
        render.growth_table(),
        render.kernel_table(),
    )
    for table in tables:
        assert len({line.count("|") for line in table if line.startswith("|")}) == 1  # as many cells in every row
    for line in (line for table in tables for line in table):
        assert line in page


def test_loops_of_machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module("compile_kernels", monkeypatch).loops(CODE) == [2, 5]
