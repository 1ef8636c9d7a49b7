from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import core.cli.recipes
from mm3d.commands.demo import demo


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's own recipes with one epoch, fewer points and a smaller network."""
    build = core.cli.recipes.build_recipe

    def quicker(recipe: Any, kind: type) -> Any:
        made = build(recipe, kind)
        made.train = dataclasses.replace(made.train, epochs=1)
        made.optim = dataclasses.replace(made.optim, warmup_epochs=0)
        made.points = dataclasses.replace(made.points, count=128)
        if hasattr(made, "model"):
            encoder = dataclasses.replace(made.model.encoder, groups=8, group_size=16, dim=24, depth=1, heads=2)
            made.model = dataclasses.replace(made.model, encoder=encoder, decoder_depth=1, decoder_heads=2)
        else:
            made.groups, made.group_size = 8, 16
        return made

    monkeypatch.setattr(core.cli.recipes, "build_recipe", quicker)


@pytest.mark.usefixtures("quick")
def test_it_ends_with_a_report_and_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo(str(tmp_path / "demo"))
    said = capsys.readouterr().out
    for words in ("pretrained: 22 steps", "untrained", "400 extra trees", "from scratch", "report.html"):
        assert words in said
    page = (tmp_path / "demo" / "report.html").read_text()
    for words in (
        "Did pretraining help? Frozen features",
        "Fine-tuning",
        "Features of the test shapes",
        "system: point_mae",
    ):
        assert words in page
    assert (tmp_path / "demo" / "reconstruction.png").stat().st_size > 10_000
    weights = (tmp_path / "demo" / "pretrain" / "weights.safetensors").read_bytes()
    (tmp_path / "demo" / "report.html").unlink()
    demo(str(tmp_path / "demo"))
    assert "pretrained before: 22 steps" in capsys.readouterr().out
    assert (tmp_path / "demo" / "report.html").read_text().count("from scratch") == page.count("from scratch")
    assert (tmp_path / "demo" / "pretrain" / "weights.safetensors").read_bytes() == weights
