"""The demo on its own data with smaller networks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import core.cli.recipes
from core.errors import UserError
from mmbio.commands import demo as module
from mmbio.data import sources
from mmbio.data.sets import SequenceSet

pytest.importorskip("rdkit")
pytest.importorskip("pyhmmer")


def few(data: Any) -> Any:
    """The first sequences of a set; of a labelled one a hundred of every part."""
    if isinstance(data, SequenceSet):
        return dataclasses.replace(data, texts=data.texts[:100], names=data.names[:100])
    chosen = np.concatenate([data.train[:100], data.validation[:100], data.test[:100]])
    return dataclasses.replace(
        data,
        texts=tuple(data.texts[i] for i in chosen),
        names=tuple(data.names[i] for i in chosen),
        labels=data.labels[chosen],
        train=np.arange(100),
        validation=np.arange(100, 200),
        test=np.arange(200, 300),
    )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's own recipes with one epoch and smaller networks, and few points in its picture."""
    build, load = core.cli.recipes.build_recipe, sources.load
    kept = {word: few(load(word)) for word in ("nci_properties", "genome")}

    def quicker(recipe: Any, kind: type) -> Any:
        made = build(recipe, kind)
        made.train = dataclasses.replace(made.train, epochs=1, batch_size=32)
        made.text = dataclasses.replace(made.text, longest=40, held_out_most=40)
        made.model = dataclasses.replace(made.model, dim=16, depth=1, heads=2)
        return made

    monkeypatch.setattr(core.cli.recipes, "build_recipe", quicker)
    monkeypatch.setattr(sources, "load", kept.__getitem__)
    monkeypatch.setattr("mmbio.report.SHOWN_POINTS", 60)


@pytest.mark.usefixtures("quick")
def test_it_ends_with_a_report_and_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module.demo(str(tmp_path / "demo"))
    said = capsys.readouterr().out
    for words in ("pretrained: seed 0", "perplexity of hidden tokens", "untrained", "ECFP4", "logP", "report.html"):
        assert words in said
    report = tmp_path / "demo" / "report.html"
    page = report.read_text()
    for words in (
        "do features hold their properties",
        "coloured by",
        "Hidden tokens",
        "Proteins of one bacterium",
        "Predictions",
    ):
        assert words in page
    assert page.count("<img ") == 6  # features, molecules, and curves and predictions of both
    weights = (tmp_path / "demo/molecules/seed-0/weights.safetensors").read_bytes()
    report.unlink()
    module.demo(str(tmp_path / "demo"))
    assert "pretrained before: seed 0" in capsys.readouterr().out
    assert report.read_text().count("<img ") == 6
    assert (tmp_path / "demo/molecules/seed-0/weights.safetensors").read_bytes() == weights


def test_bad_numbers_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    for words, said in (({"seed": -1}, "expected at least 0"), ({"seeds": 0}, "expected at least 1")):
        with pytest.raises(UserError, match=said):
            module.demo(str(tmp_path / "demo"), **words)
    assert not (tmp_path / "demo").exists()
