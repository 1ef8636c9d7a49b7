from __future__ import annotations

import pytest

from core.reporting.palette import CATEGORICAL, INPUT, RECONSTRUCTED, VISIBLE, class_style, rgb


def test_seventy_two_classes_look_different() -> None:
    assert len({class_style(index) for index in range(72)}) == 72
    assert class_style(72) == class_style(0)


def test_rgb() -> None:
    assert rgb("#ff8000") == pytest.approx((1.0, 128 / 255, 0.0))
    for wrong in ("red", "#fff", "ff80000"):
        with pytest.raises(ValueError, match="#rrggbb"):
            rgb(wrong)


def test_the_three_kinds_of_points_differ_in_lightness_too() -> None:
    lightness = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(rgb, (INPUT, VISIBLE, RECONSTRUCTED)))
    assert lightness[1] - lightness[0] > 0.08
    assert lightness[2] - lightness[1] > 0.08
    assert VISIBLE in CATEGORICAL
    assert RECONSTRUCTED in CATEGORICAL
