"""Pictures of sweeps in pillars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from mm3d.config.pillars import PillarGridConfig
from mm3d.pillars.pictures import PillarPicture, pillars_page, plot_pillars, some
from mm3d.pillars.report import nearness_table

GRID = PillarGridConfig((-8.0, -6.0, -2.0), (8.0, 6.0, 2.0), (1.0, 1.0, 4.0))


def row(shift: float = 0.5) -> PillarPicture:
    points = np.random.default_rng(0).uniform([-8, -6, -2], [8, 6, 2], (300, 3)).astype(np.float32)
    return PillarPicture(points[:100], points[100:], points[100:] + np.float32([0, 0, shift]), "a sweep & more")


def test_a_picture_and_a_page(tmp_path: Path) -> None:
    picture, page = plot_pillars([row()], GRID, tmp_path / "a.png"), pillars_page([row()], tmp_path / "a.html")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert plot_pillars([row()], GRID, tmp_path / "b.png").read_bytes() == picture.read_bytes()
    text = page.read_text()
    assert "100 points shown, 200 hidden, 200 predicted" in text
    assert "a sweep &amp; more" in text


def test_sweeps_without_predictions_are_drawn(tmp_path: Path) -> None:
    empty = row()._replace(predicted=np.zeros((0, 3), np.float32))
    plot_pillars([empty], GRID, tmp_path / "a.png")
    pillars_page([empty], tmp_path / "a.html")
    assert nearness_table([empty]).rows[0][2] is None


def test_no_sweeps_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sweeps to draw"):
        plot_pillars([], GRID, tmp_path / "a.png")
    with pytest.raises(UserError, match="no sweeps to draw"):
        pillars_page([], tmp_path / "a.html")


def test_nearness() -> None:
    """Predicted points 1 cm above the true ones are 1 cm away."""
    (title, count, predicted, shown), *_ = nearness_table([row(0.01)]).rows
    assert (title, count) == ("a sweep & more", 200)
    assert predicted == pytest.approx(0.01, rel=1e-3)
    assert shown > 0.3


def test_at_most_so_many() -> None:
    points = np.arange(30.0).reshape(10, 3)
    assert len(some(points, 4)) == 4
    assert some(points, 10) is points
