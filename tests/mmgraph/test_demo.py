from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import core.cli.recipes
from mmgraph.commands.demo import demo


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's own recipes with few epochs and a smaller network."""
    build = core.cli.recipes.build_recipe

    def quicker(recipe: Any, kind: type) -> Any:
        made = build(recipe, kind)
        made.train = dataclasses.replace(made.train, epochs=4)
        if hasattr(made, "model"):
            made.model.encoder = dataclasses.replace(made.model.encoder, dim=8, depth=1)
            made.probe_nodes = dataclasses.replace(made.probe_nodes, epochs=5)
        return made

    monkeypatch.setattr(core.cli.recipes, "build_recipe", quicker)


@pytest.mark.usefixtures("quick")
def test_it_ends_with_a_report_and_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo(str(tmp_path / "demo"), seeds=2)
    said = capsys.readouterr().out
    for words in ("pretrained: seed 1, 4 steps", "untrained", "raw features", "from scratch", "report.html"):
        assert words in said
    report = tmp_path / "demo" / "report.html"
    page = report.read_text()
    for words in ("Frozen embeddings", "Fine-tuning", "coloured by class", "system: graphmae", "Training"):
        assert words in page
    assert page.count("<img ") == 2
    first = tmp_path / "demo/pretrain/seed-0"
    assert (first / "embedding.png").stat().st_size > 5_000
    weights = (first / "weights.safetensors").read_bytes()
    report.unlink()
    demo(str(tmp_path / "demo"), seeds=2)
    assert "pretrained before: seed 0, 4 steps" in capsys.readouterr().out
    assert report.read_text().count("from scratch") == page.count("from scratch")
    assert (first / "weights.safetensors").read_bytes() == weights
