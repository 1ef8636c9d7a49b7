from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.files import read_metrics
from core.reporting.curves import plot_curves, series


def rows(count: int) -> list[dict[str, object]]:
    return [
        {"step": i, "loss": 2.0 / (i + 1), "loss_parts": {"chamfer": 1.0 / (i + 1)}, "lr": 1e-3, "host": "a"}
        | {"samples_per_second": 100.0 + i, "colour": 3}
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [1, 10, 150])
def test_a_picture_with_a_panel_for_each_kind(tmp_path: Path, count: int) -> None:
    from matplotlib.image import imread

    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(count)))
    image = imread(plot_curves(path, tmp_path / "deep" / "curves.png"))
    assert image.shape == (396, round((3 * 4.2 + 0.6) * 120), 4)
    assert image.std() > 0.01
    assert imread(plot_curves(rows(count), tmp_path / "again.png")).tolist() == image.tolist()


def test_wide_positive_ranges_are_logarithmic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    from core.reporting import curves

    kept: list[Figure] = []
    original = curves.new_figure

    def keep(width: float, height: float) -> Figure:
        kept.append(original(width, height))
        return kept[-1]

    monkeypatch.setattr(curves, "new_figure", keep)
    scales = []
    for last in (1 / 49, 1 / 51, -1.0):
        plot_curves([{"step": 0, "loss": 1.0}, {"step": 1, "loss": last}], tmp_path / "c.png")
        scales.append(kept[-1].axes[0].get_yscale())
    assert scales == ["linear", "log", "linear"]


def test_series_are_flat_sorted_finite_and_the_later_row_of_a_step_wins() -> None:
    nan = float("nan")
    given: list[dict[str, Any]] = [
        {"step": 5, "a": 1.0},
        {"step": 2, "a": 2.0, "b": {"c": 1}},
        {"step": 5, "a": 3.0, "ok": True},
        {"step": 7, "a": nan},
    ]
    assert series(given) == {"a": ([2.0, 5.0], [2.0, 3.0]), "b/c": ([2.0], [1.0])}


def test_a_line_cut_off_by_a_kill_is_left_out_and_any_other_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0, "loss": 1.0}\n{"step": 1, "lo')
    assert read_metrics(path) == [{"step": 0, "loss": 1.0}]
    path.write_text('{"step": 0, "lo\n{"step": 1, "loss": 1.0}\n')
    with pytest.raises(UserError, match="line 1: not JSON"):
        read_metrics(path)
    path.write_text("[1]\n")
    with pytest.raises(UserError, match="a list; expected"):
        read_metrics(path)
    path.write_text("")
    assert read_metrics(path) == []
    with pytest.raises(UserError, match="no rows"):
        plot_curves(path, tmp_path / "curves.png")
    with pytest.raises(UserError, match="cannot be read"):
        read_metrics(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="no loss"):
        plot_curves([{"step": 1, "colour": 2}], tmp_path / "c.png")
