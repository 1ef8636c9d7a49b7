"""Labels of voxels, what is held out, and scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_voxels import ENCODER, GRID, streets
from tiny_voxels import MODEL as CONFIG

from core.errors import UserError
from core.random import generator
from mm3d.config.voxels import SweepsConfig
from mm3d.layers.voxel_backbone import VoxelBackbone
from mm3d.models.voxel_mae import VoxelMAE
from mm3d.ops.kernel_map import unravel
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid
from mm3d.voxels.cells import Cells, majority, voxel_cells
from mm3d.voxels.probe import cell_set, segmentation_score


def test_a_voxel_has_the_class_of_most_of_its_points() -> None:
    voxel_of = np.array([0, 0, 0, 1, 1, 2, -1, 3])
    labels = np.array([4, 4, 2, 3, 1, -1, 0, 5])
    assert majority(voxel_of, labels, 5).tolist() == [4, 1, -1, 5, -1]
    assert majority(voxel_of, np.full(8, -1), 4).tolist() == [-1] * 4


def test_scores_are_those_of_their_definition() -> None:
    predicted, true = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 1])
    score = segmentation_score(predicted, true)
    assert score.accuracy == pytest.approx(3 / 5)
    assert score.miou == pytest.approx((1 / 2 + 2 / 4 + 0 / 1) / 3)


def cut(points: torch.Tensor) -> Cells:
    return voxel_cells(points, SweepsConfig(max_points=0), ENCODER)


def test_sectors_of_one_sweep_and_whole_sweeps_of_many_are_held_out() -> None:
    one = cell_set(streets(1), cut)
    azimuth = np.arctan2(one.own[0][:, 1], one.own[0][:, 0])
    assert set(np.floor((azimuth[one.held_out[0]] + np.pi) / (np.pi / 6)).astype(int)) <= {3, 7, 11}
    assert 0.05 < one.held_out[0].mean() < 0.6
    many = cell_set(streets(8), cut)
    assert [bool(held.all()) for held in many.held_out] == [False] * 6 + [True] * 2
    assert len(many.joined(True)) == sum(int((y >= 0).sum()) for y in many.labels[6:])


def test_sweeps_without_labels_in_range_are_said() -> None:
    sweep = streets(1)[0]
    with pytest.raises(UserError, match="street 0: no labelled voxels to train on"):
        cell_set([sweep._replace(labels=np.full(len(sweep.points), -1))], cut)


def test_a_model_tells_single_voxels_from_each_other() -> None:
    model, cells = VoxelMAE(CONFIG).eval(), cut(torch.tensor(streets(1)[0].points))
    tokens = model.tokens(cells.batch)
    assert tokens.shape == (len(cells.means), 4 + 4 + 8 + 8 + 8)
    assert torch.equal(tokens, model.encoder.at_voxels(model.tokenize(cells.batch)))


def test_every_voxel_reads_a_voxel_whose_field_holds_it() -> None:
    """One voxel alone: its features at every stage are those of the only voxel near it."""
    encoder = VoxelBackbone(ENCODER).eval()
    for key in (0, 1, 4321, 41 * 32 * 32 - 1):
        indices = unravel(torch.tensor([key]), GRID.shape)
        voxels = SparseVoxels(torch.ones(1, 4), VoxelGrid(indices, GRID.shape, 1))
        found = encoder.at_voxels(voxels)
        assert found.shape == (1, 4 + 4 + 8 + 8 + 8)
        stages, out = encoder.walk(voxels)
        for stage, part in zip((*stages, out), found.split([4, 4, 8, 8, 8], dim=1), strict=True):
            assert (stage.features == part).all(dim=1).any()


def test_coarser_voxels_that_are_read_exist() -> None:
    encoder = VoxelBackbone(ENCODER).eval()
    keys = torch.randperm(2 * 41 * 32 * 32, generator=generator(1))[:700].sort().values
    grid = VoxelGrid(unravel(keys, GRID.shape), GRID.shape, 2)
    voxels = SparseVoxels(torch.randn(700, 4, generator=generator(2)), grid)
    found = encoder.at_voxels(voxels)
    half = encoder.walk(voxels).stages[1]
    for row in (0, 99, 450, 699):
        batch, z, y, x = grid.indices[row].tolist()
        there = (half.grid.indices == torch.tensor([batch, z // 2, y // 2, x // 2])).all(dim=1)
        assert int(there.sum()) == 1
        assert torch.equal(half.features[there][0], found[row, 4:8])
