"""Samples of sweeps: augmentation, limits, and batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.random import generator
from mm3d.config.voxels import GridConfig, SweepsConfig
from mm3d.data.labelled_sweeps import labelled_sweeps
from mm3d.data.sweep_samples import SweepSamples, augmented
from mm3d.data.sweeps import Sweeps, find_sweeps

GRID = GridConfig((-10.0, -10.0, -3.0), (10.0, 10.0, 5.0), (0.5, 0.5, 0.2))
PLAIN = SweepsConfig(max_points=0, max_voxels=0, augment=(), minimum=2)


def made_of(points: np.ndarray, config: SweepsConfig = PLAIN, grid: GridConfig = GRID) -> SweepSamples:
    return SweepSamples(Sweeps(("sweep",), (lambda: points,)), config, grid)


def test_augmentations_are_rigid_up_to_scale() -> None:
    points = torch.randn(50, 4, generator=generator(0))
    config = SweepsConfig(augment=("flip_x", "flip_y", "rotate", "scale"), rotation=3.0, scaling=(0.9, 1.2))
    for seed in range(8):
        moved = augmented(points, config, generator(seed))
        assert torch.equal(moved[:, 3], points[:, 3])
        ratio = torch.cdist(moved[:, :3], moved[:, :3]) / torch.cdist(points[:, :3], points[:, :3]).clamp(min=1e-9)
        ratio = ratio[~torch.eye(50, dtype=torch.bool)]
        assert 0.9 - 1e-4 <= float(ratio.min()) <= float(ratio.max()) <= 1.2 + 1e-4
        assert float(ratio.max() - ratio.min()) < 1e-3
        torch.testing.assert_close(moved[:, 2] / ratio.mean(), points[:, 2], rtol=1e-3, atol=1e-4)
    assert torch.equal(augmented(points, PLAIN, generator(0)), points)
    flips = {tuple(augmented(points, SweepsConfig(augment=("flip_x",)), generator(s))[0, :2].sign().tolist())
             for s in range(20)}  # fmt: skip
    assert len(flips) == 2


def test_angles_stay_within_their_range() -> None:
    points = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    config = SweepsConfig(augment=("rotate",), rotation=0.5)
    angles = [float(torch.atan2(*augmented(points, config, generator(s))[0, [1, 0]])) for s in range(60)]
    assert -0.5 <= min(angles) < -0.3
    assert 0.3 < max(angles) <= 0.5


def test_a_batch_is_sorted_and_knows_its_scenes() -> None:
    samples = SweepSamples(find_sweeps("street", PLAIN), PLAIN, GRID)
    batch = samples.collate([samples.sample(i, generator(i)) for i in (0, 3)])
    counts = batch.offsets.diff().tolist()
    assert counts == [len(samples.whole(i).indices) for i in (0, 3)]  # nothing is drawn without augmentation
    assert batch.indices[:, 0].tolist() == [0] * counts[0] + [1] * counts[1]
    depth, height, width = GRID.shape
    keys = ((batch.indices[:, 0] * depth + batch.indices[:, 1]) * height + batch.indices[:, 2]) * width
    assert ((keys + batch.indices[:, 3]).diff() > 0).all()
    low, size = torch.tensor(GRID.low), torch.tensor(GRID.voxel_size)
    corner = batch.indices[:, 1:].flip(1) * size + low
    assert (batch.features[:, :3] >= corner - 1e-4).all()
    assert (batch.features[:, :3] <= corner + size + 1e-4).all()


def test_a_sample_is_a_function_of_its_generator() -> None:
    config = SweepsConfig(minimum=2)
    samples = SweepSamples(find_sweeps("street", config), config, GRID)
    one, same, other = (samples.sample(0, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.features, same.features)
    assert one.features.shape != other.features.shape or not torch.equal(one.features, other.features)


def test_limits_hold_in_training_and_not_in_evaluation() -> None:
    config = SweepsConfig(max_points=1, max_voxels=40, augment=(), minimum=2)
    samples = SweepSamples(find_sweeps("street", config), config, GRID)
    assert len(samples.sample(0, generator(0)).indices) == 40
    assert len(samples.whole(0).indices) > 1000


def test_a_sweep_that_is_turned_out_of_range_is_taken_as_it_is() -> None:
    """A range that looks forward only, and a turn by half a circle."""
    grid = GridConfig((0.0, -10.0, -3.0), (20.0, 10.0, 5.0), (0.5, 0.5, 0.2))
    ahead = np.c_[np.linspace(5, 15, 40), np.zeros(40), np.zeros(40), np.zeros(40)].astype(np.float32)
    samples = made_of(ahead, SweepsConfig(augment=("rotate",), rotation=3.1, minimum=10), grid)
    sizes = [len(samples.sample(0, generator(seed)).indices) for seed in range(20)]
    assert min(sizes) >= 10


def test_more_features_than_there_are_is_said() -> None:
    with pytest.raises(UserError, match=r"features 5: sweeps have 4"):
        SweepSamples(find_sweeps("street", PLAIN), PLAIN, GRID, features=5)
    three = SweepSamples(find_sweeps("street", PLAIN), PLAIN, GRID, features=3)
    assert three.whole(0).features.shape[1] == 3


def test_points_close_to_the_sensor_are_left_out(tmp_path: Path) -> None:
    """The square |x|, |y| < close, whatever the height, as the released code has it; by default nothing."""
    points = np.array([
        [1.9, -1.9, 4.0, 1], [0, 0, -1, 2], [2.0, 0, 0, 3], [0, -2.5, 0, 4], [-1, 1.99, 0, 5], [9, 9, 1, 6],
    ], np.float32)  # fmt: skip
    np.save(tmp_path / "sweep.npy", points)
    assert find_sweeps(str(tmp_path), PLAIN).points(0).shape == (6, 4)
    left = find_sweeps(str(tmp_path), replace(PLAIN, close=2.0)).points(0)
    assert left[:, 3].tolist() == [3, 4, 6]
    labels = np.array([10, 11, 15, 10, 11, 15], np.uint32)
    np.savez(tmp_path / "frames.npz", a_points=points, a_label=labels)
    (sweep,), _ = labelled_sweeps(str(tmp_path / "frames.npz"), replace(PLAIN, close=2.0))
    (whole,), _ = labelled_sweeps(str(tmp_path / "frames.npz"), PLAIN)
    assert sweep.points[:, 3].tolist() == [3, 4, 6]
    assert sweep.labels.tolist() == whole.labels[[2, 3, 5]].tolist()


def test_a_negative_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="close"):
        SweepsConfig(close=-1.0)
