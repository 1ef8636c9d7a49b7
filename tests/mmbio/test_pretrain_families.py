"""TAPE's transformer and models of antibodies from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_antibodies import random_antibodies, write_antibodies
from tiny_mmbio import RECIPE, command, write_recipe

from mmbio.models import load_model

BERT = {"dim": 16, "depth": 1, "heads": 2, "hidden": 32, "positions": 160}
REGIONS = {"dim": 16, "depth": 1, "heads": 2, "mask": {"kind": "regions", "ratio": 0.5}}


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_tape(tmp_path: Path, proteins: str) -> None:
    recipe = write_recipe(tmp_path / "tape.yaml", {**RECIPE, "system": "tape", "model": BERT}, data=proteins)
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status == 0, said.err
    assert type(load_model(tmp_path / "run")).__name__ == "Tape"
    assert any("held_out_perplexity" in line for line in lines(tmp_path / "run"))
    assert (tmp_path / "run/report.html").exists()
    said = command("pretrain", recipe, "--text.longest", 200, "--out", tmp_path / "other")
    assert said.status
    assert "expected at most 158" in said.err


@pytest.mark.parametrize(("system", "model"), [("abbert", BERT), ("esm2", REGIONS)])
def test_antibodies(tmp_path: Path, system: str, model: dict) -> None:
    data = write_antibodies(tmp_path / "a.jsonl", random_antibodies(60))
    values = {**RECIPE, "system": system, "model": model, "text": {"longest": 140}}
    recipe = write_recipe(tmp_path / "r.yaml", values, data=data)
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status == 0, said.err
    assert any("held_out_perplexity" in line for line in lines(tmp_path / "run"))
    assert load_model(tmp_path / "run").masking.kind == "regions"


def test_masks_of_regions_need_regions(tmp_path: Path, proteins: str) -> None:
    recipe = write_recipe(tmp_path / "r.yaml", {**RECIPE, "model": REGIONS}, data=proteins)
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status
    assert "no regions to hide" in said.err
