"""Which labelled voxels train, select and are scored; training samples of labelled sweeps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_voxels import ENCODER, GRID, streets, write_sweeps

from core.errors import UserError
from core.random import generator
from mm3d.config import SweepFinetuneRecipe
from mm3d.config.voxels import SweepsConfig
from mm3d.data.labelled_sweeps import find_labelled
from mm3d.data.sweeps import in_grid
from mm3d.voxels.cells import voxel_cells
from mm3d.voxels.labelled import LabelledSweepSamples
from mm3d.voxels.parts import split_sweeps
from mm3d.voxels.probe import cell_set

SWEEPS = SweepFinetuneRecipe().sweeps


def cells_of(sweep_points: np.ndarray, chosen: np.ndarray) -> set[tuple[int, ...]]:
    """The cells of some points of a sweep."""
    made = in_grid(torch.from_numpy(np.array(sweep_points)), SWEEPS, GRID)
    voxel = made.voxel_of.numpy()[chosen]
    return {tuple(made.indices[i].tolist()) for i in np.unique(voxel[voxel >= 0])}


@pytest.mark.parametrize(("count", "sizes"), [(4, (2, 1, 1)), (5, (3, 1, 1)), (8, (5, 1, 2)), (12, (8, 1, 3))])
def test_whole_sweeps_are_held_out_where_there_are_four(count: int, sizes: tuple[int, int, int]) -> None:
    sweeps = streets(count)
    parts = split_sweeps(sweeps, SWEEPS, ENCODER, 0.15)
    assert (len(parts.training), len(parts.validation), len(parts.test)) == sizes
    assert [sweep.name for sweep in parts.training] == [f"street {i}" for i in range(sizes[0])]
    for kept, stored in zip(parts.training, sweeps, strict=False):
        np.testing.assert_array_equal(kept.labels, stored.labels)
    later = split_sweeps(sweeps, SWEEPS, ENCODER, 0.99)
    assert len(later.training) == 1  # one is left to train on, whatever is asked for


@pytest.mark.parametrize("count", [1, 3, 8])
def test_what_is_scored_is_what_the_probe_holds_out(count: int) -> None:
    sweeps = streets(count)
    parts = split_sweeps(sweeps, SWEEPS, ENCODER, 0.15)
    ours = np.concatenate([part.labels[part.labels >= 0].numpy() for part in parts.test])
    np.testing.assert_array_equal(
        ours, cell_set(sweeps, lambda points: voxel_cells(points, SWEEPS, ENCODER)).joined(True)
    )


def test_sectors_of_few_sweeps_share_no_voxel() -> None:
    sweeps = streets(2)
    parts = split_sweeps(sweeps, SWEEPS, ENCODER, 0.15)
    assert "every fourth sector" in parts.how
    for number, sweep in enumerate(parts.training):
        trained = cells_of(sweep.points, sweep.labels >= 0)
        scored = []
        for part in (parts.validation[number], parts.test[number]):
            known = part.labels >= 0
            scored.append({tuple(cell) for cell in part.voxels.indices[known, 1:].tolist()})
            azimuth = torch.atan2(part.voxels.features[known, 1], part.voxels.features[known, 0]).numpy()
            sectors = set(np.floor((azimuth + np.pi) / (np.pi / 6)).astype(int).tolist())
            assert sectors <= ({1, 5, 9} if len(scored) == 1 else {3, 7, 11})
        assert trained
        assert not trained & scored[0]
        assert not trained & scored[1]
        assert not scored[0] & scored[1]
        azimuth = np.arctan2(sweep.points[:, 1], sweep.points[:, 0])[sweep.labels >= 0]
        assert set(np.floor((azimuth + np.pi) / (np.pi / 6)).astype(int) % 4) <= {0, 2}  # beyond the range as well


def test_parts_without_labels_are_said() -> None:
    sweeps = streets(4)
    none = [sweep._replace(labels=np.full(len(sweep.points), -1)) for sweep in sweeps]
    alike = [sweep._replace(labels=np.zeros(len(sweep.points), dtype=np.int64)) for sweep in sweeps]
    for found, said in (
        (none, "street 0: no labelled voxels to train on in the range"),
        (alike, "no labelled voxels of at least two classes to train on"),
        ([*sweeps[:2], none[2], sweeps[3]], "no labelled voxels to select the epoch on"),
        ([*sweeps[:3], none[3]], "no labelled voxels to score"),
    ):
        with pytest.raises(UserError, match=said):
            split_sweeps(found, SWEEPS, ENCODER, 0.15)
    assert [s.name for s in split_sweeps([none[0], *sweeps[1:]], SWEEPS, ENCODER, 0.15).training] == ["street 1"]


def test_samples_are_functions_of_the_generator() -> None:
    data = LabelledSweepSamples(streets(2), SWEEPS, ENCODER)
    first, again, other = (data.sample(1, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.voxels.features, again.voxels.features)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.voxels.features[:50], other.voxels.features[:50])
    batch = data.collate([first, other])
    assert batch.voxels.offsets.tolist() == [0, len(first.labels), len(first.labels) + len(other.labels)]
    assert torch.equal(batch.voxels.indices[len(first.labels) :, 1:], other.voxels.indices[:, 1:])
    assert batch.voxels.indices[:, 0].unique_consecutive().tolist() == [0, 1]
    ground = first.voxels.features[first.labels == 0, 2]  # classes stay with what was turned and scaled
    assert abs(float(ground.median()) + 1.73) < 0.15


def test_a_sweep_that_is_turned_out_of_range_is_taken_as_it_is() -> None:
    """A range that looks ahead, and a sweep with points ahead alone."""
    ahead = dataclasses.replace(ENCODER, grid=dataclasses.replace(GRID, low=(0.0, -16.0, -3.0)))
    sweep = streets(1)[0]
    front = sweep.points[:, 0] > 0.5
    sweep = sweep._replace(points=sweep.points[front], labels=sweep.labels[front])
    config = SweepsConfig(max_points=0, max_voxels=0, augment=("flip_x",))
    data = LabelledSweepSamples([sweep], config, ahead)
    counts = {len(data.sample(0, generator(seed)).labels) for seed in range(8)}
    assert len(counts) == 1
    assert counts.pop() > 100


def test_sweeps_of_a_folder_are_evenly_spread(tmp_path: Path) -> None:
    data = str(write_sweeps(tmp_path / "data", 5))
    for most, numbers in ((2, [0, 4]), (3, [0, 2, 4]), (9, [0, 1, 2, 3, 4]), (0, [0, 1, 2, 3, 4])):
        found = find_labelled(data, SWEEPS, most)
        assert [int(Path(name).stem) for name in found.names] == numbers
        assert [reader().name for reader in found.readers] == list(found.names)
