"""Which labelled voxels train, which select the epoch, and which are scored once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from mm3d.config.voxels import SweepsConfig, VoxelEncoderConfig
from mm3d.data.labelled_sweeps import LabelledSweep
from mm3d.voxels.labelled import LabelledVoxels, labelled_voxels
from mm3d.voxels.probe import SECTORS, SPLIT_BY_SWEEP

TRAIN, VALIDATION, TEST = 0, 1, 2
OF_SECTOR = np.array([TRAIN, VALIDATION, TRAIN, TEST])
"""The part of every sector, again and again: those that are held out touch training sectors only."""


class SweepParts(NamedTuple):
    """Training sweeps, in which points of other parts have no class; and sweeps whose voxels of one part have theirs.

    ``how`` says in words what is held out.
    """

    training: list[LabelledSweep]
    validation: list[LabelledVoxels]
    test: list[LabelledVoxels]
    how: str


def split_sweeps(
    sweeps: Sequence[LabelledSweep], config: SweepsConfig, encoder: VoxelEncoderConfig, share: float
) -> SweepParts:
    """Of four sweeps or more, the last quarter is tested on and a share of the others, those before it, validates.

    Of fewer, the fourth, eighth and twelfth of twelve sectors around the sensor are tested on, and the second, sixth and
    tenth validate: a smoke test, as the sectors touch those that are trained on, and the network is shown the voxels of
    all of them, without classes. What is tested on is what :func:`mm3d.voxels.probe.cell_set` holds out.

    Raises:
        UserError: no labelled voxels in one of the parts, or one class alone to train on.
    """
    count, by_sweep = len(sweeps), len(sweeps) >= SPLIT_BY_SWEEP
    tested = count // 4
    validating = min(max(1, round(share * (count - tested))), count - tested - 1)
    training: list[LabelledSweep] = []
    held: tuple[list[LabelledVoxels], ...] = ([], [], [])
    for number, sweep in enumerate(sweeps):
        voxels, voxel_of = labelled_voxels(torch.from_numpy(np.array(sweep.points)), sweep.labels, config, encoder)
        if by_sweep:
            part = TEST if number >= count - tested else VALIDATION if number >= count - tested - validating else TRAIN
            of_voxels, of_points = np.full(len(voxels.labels), part), np.full(len(sweep.points), part)
        else:
            of_voxels, of_points = _sectors(voxels.voxels.features), _sectors(torch.from_numpy(np.array(sweep.points)))
        of_their_voxel = np.append(of_voxels, TRAIN)[voxel_of]  # a point outside the range is in no voxel
        trained = (of_points == TRAIN) & (of_their_voxel == TRAIN)
        kept = sweep._replace(labels=np.where(trained, sweep.labels, -1))
        if bool((_only(voxels, of_voxels, TRAIN).labels >= 0).any()):
            training.append(kept)
        for held_out in (VALIDATION, TEST):
            some = _only(voxels, of_voxels, held_out)
            if bool((some.labels >= 0).any()):
                held[held_out].append(some)
    classes = np.unique(np.concatenate([sweep.labels[sweep.labels >= 0] for sweep in training] or [np.empty(0)]))
    for name, enough in (
        ("to train on", len(classes) > 1),
        ("to select the epoch on", held[VALIDATION]),
        ("to score", held[TEST]),
    ):
        if not enough:
            more = " of at least two classes" if training and name == "to train on" else ""
            raise UserError(f"{sweeps[0].name}: no labelled voxels{more} {name} in the range of the model")
    how = f"the last {tested} of {count} sweeps are tested on, the {validating} before them select the epoch"
    sectors = "every fourth sector around the sensor is tested on, three others select the epoch: a smoke test"
    return SweepParts(training, held[VALIDATION], held[TEST], how if by_sweep else sectors)


def _sectors(points: Tensor) -> np.ndarray:
    """The part of the sector that each point (N, 2 or more) is in."""
    azimuth = torch.atan2(points[:, 1], points[:, 0]).numpy()
    return OF_SECTOR[np.floor((azimuth + np.pi) / (2 * np.pi) * SECTORS).astype(int) % 4]


def _only(voxels: LabelledVoxels, of_voxels: np.ndarray, part: int) -> LabelledVoxels:
    """The same voxels, of which those of one part keep their class."""
    return voxels._replace(labels=torch.where(torch.from_numpy(of_voxels == part), voxels.labels, -1))
