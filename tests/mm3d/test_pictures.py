from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from core.reporting.palette import RECONSTRUCTED, VISIBLE, rgb
from mm3d.pictures import (
    PANEL,
    PictureRow,
    plot_clouds,
    plot_reconstruction,
    reconstruction_figure,
    reconstruction_page,
)
from mm3d.render import render, view


def shape(seed: int, count: int = 300) -> PictureRow:
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(count, 3)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return PictureRow(points, points[:120], points[120:] + 0.02, f"shape {seed} $\\frac$ <b>")


def test_reconstructions_are_a_png_of_the_expected_size(tmp_path: Path) -> None:
    from matplotlib.image import imread

    path = plot_reconstruction([shape(0), shape(1)], tmp_path / "deep" / "r.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    image = imread(path)[:, :, :3]
    assert image.shape == (2 * (PANEL + 26) + 74, 3 * PANEL, 3)
    columns = [image[100:400, PANEL * i : PANEL * (i + 1)] for i in range(3)]
    assert all(column.std() > 0.02 for column in columns)
    orange = [(column[:, :, 0] - column[:, :, 2] > 0.3).mean() for column in columns]
    blue = [(column[:, :, 2] - column[:, :, 0] > 0.3).mean() for column in columns]
    assert orange[0] == orange[1] == blue[0] == 0
    assert orange[2] > 0.02
    assert blue[1] > 0.02
    assert blue[2] > 0


def test_plain_tuples_and_empty_parts_will_do(tmp_path: Path) -> None:
    points = np.zeros((1, 3))
    assert plot_reconstruction([(points, points[:0], points[:0], "one point")], tmp_path / "r.png").exists()


def test_clouds(tmp_path: Path) -> None:
    from matplotlib.image import imread

    points = shape(0).input
    grid = [[(points, "#009E73", "a"), (points, np.abs(points), "b")], [(points, VISIBLE, "")]]
    image = imread(plot_clouds(grid, tmp_path / "c.png", up="z"))
    assert image.shape == (2 * (PANEL + 26), 2 * PANEL, 4)
    assert image[:, :, :3].std() > 0.02
    assert (image[PANEL + 26 :, PANEL:, :3] == 1).all()  # the row with one cloud
    with pytest.raises(ValueError, match="colours for"):
        plot_clouds([[(points, np.zeros((2, 3)), "a")]], tmp_path / "c.png")


def test_errors_name_the_shape() -> None:
    row = shape(0)
    broken = row.reconstruction.copy()
    broken[4, 1] = np.inf
    for bad, message in (
        (row._replace(reconstruction=broken, title="chair"), "chair, reconstruction: .* in 1 of 180 points"),
        (row._replace(input=row.input[:0], title="chair"), "chair, input: shape"),
        (row._replace(visible=row.visible[:, :2], title="chair"), "chair, visible points: shape"),
    ):
        with pytest.raises(UserError, match=message):
            plot_reconstruction([bad], "never.png")
    with pytest.raises(UserError, match="no shapes"):
        plot_reconstruction([], "never.png")
    with pytest.raises(UserError, match="no clouds"):
        plot_clouds([[]], "never.png")
    with pytest.raises(ValueError, match="up axis"):
        reconstruction_figure(row, up="w")


@pytest.mark.parametrize("up", ["x", "y", "z"])
def test_view_is_a_rotation_with_the_vertical_axis_up(up: str) -> None:
    turned = view(np.eye(3), 35, 22, up)
    assert turned @ turned.T == pytest.approx(np.eye(3))
    assert np.linalg.det(turned) == pytest.approx(1.0)
    vertical = turned["xyz".index(up)]
    assert vertical[0] == pytest.approx(0)
    assert vertical[1] > 0.9
    assert vertical[2] > 0


def test_the_nearest_ball_hides_the_others() -> None:
    points = np.array([[0, 0, 0.5], [0, 0, -0.5]])
    colours = np.array([rgb(VISIBLE), rgb(RECONSTRUCTED)])
    for order in ([0, 1], [1, 0]):
        image = render(points[order], colours[order], size=64, ball=0.2, azimuth=0, elevation=0)
        r, _, b = image[32, 32]
        assert b > r


def test_a_ball_has_its_radius_and_place() -> None:
    image = render(np.array([[0.55, 0.0, 0.0]]), np.zeros((1, 3)), 220, 0.1, azimuth=0, elevation=0, ground=-5.0)
    rows, columns = np.nonzero(image.sum(axis=2) < 1.5)  # REACH 1.1: 100 pixels a unit
    assert rows.mean() == pytest.approx(109.5, abs=1)
    assert columns.mean() == pytest.approx(110 + 55, abs=1)
    assert len(rows) == pytest.approx(np.pi * 10**2, rel=0.06)


def test_no_points_and_points_outside_draw_nothing() -> None:
    assert (render(np.zeros((0, 3)), np.zeros((0, 3)), 16) == 1).all()
    assert (render(np.full((4, 3), 50.0), np.zeros((4, 3)), 16) == 1).all()


def test_figure_has_three_scenes_with_equal_axes_and_one_legend_entry_a_kind() -> None:
    row = shape(0)
    figure = reconstruction_figure(row)
    assert [trace.scene for trace in figure.data] == ["scene", "scene2", "scene3", "scene3"]
    assert [len(trace.x) for trace in figure.data] == [300, 120, 120, 180]
    assert [trace.name for trace in figure.data if trace.showlegend] == ["input", "given", "reconstructed"]
    for scene in (figure.layout.scene, figure.layout.scene2, figure.layout.scene3):
        assert scene.aspectmode == "cube"
        assert scene.xaxis.range == scene.yaxis.range == scene.zaxis.range
    # handedness is kept: the three drawn axes, as functions of the input's, have determinant +1
    drawn = np.stack([figure.data[0].x, figure.data[0].y, figure.data[0].z], axis=1)
    centred = row.input - (row.input.min(0) + row.input.max(0)) / 2
    matrix = np.linalg.lstsq(centred, drawn, rcond=None)[0]
    assert np.linalg.det(matrix) > 0


def test_page_holds_a_turning_figure_a_shape(tmp_path: Path) -> None:
    text = reconstruction_page([shape(0), shape(1)], tmp_path / "r.html").read_text(encoding="utf-8")
    assert text.count('plotly_relayouting", moved') == 2
    assert "the network saw 120 of them (60% hidden)" in text
    assert "shape 0 $\\frac$ &lt;b&gt;" in text
