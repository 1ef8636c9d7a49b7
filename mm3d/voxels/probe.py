"""What frozen features say of single voxels: the class of what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.evaluation.metrics import MeanStd, accuracy, mean_std
from core.evaluation.untrained import untrained
from mm3d.config.voxels import SweepsConfig
from mm3d.data.labelled_sweeps import LabelledSweep
from mm3d.data.sweeps import in_grid
from mm3d.models.voxel_mae import VoxelBatch, VoxelMAE

SECTORS, SPLIT_BY_SWEEP, MOST = 12, 4, 20_000


class VoxelSet(NamedTuple):
    """Sweeps as batches of one, the class of every voxel (-1 for none), and which voxels are held out.

    ``training`` are the sweeps themselves with the classes of held-out points taken away.
    """

    batches: list[VoxelBatch]
    labels: list[np.ndarray]
    held_out: list[np.ndarray]
    training: list[LabelledSweep]

    def joined(self, held_out: bool) -> np.ndarray:
        """Labels of the labelled voxels of one part."""
        return np.concatenate(
            [y[(y >= 0) & (out == held_out)] for y, out in zip(self.labels, self.held_out, strict=True)]
        )

    def select(self, features: Sequence[np.ndarray], held_out: bool) -> np.ndarray:
        """Features of the labelled voxels of one part."""
        parts = zip(features, self.labels, self.held_out, strict=True)
        return np.concatenate([x[(y >= 0) & (out == held_out)] for x, y, out in parts])


class SegmentationScore(NamedTuple):
    """Over the held-out voxels: share that is right, and the mean over classes of intersection over union."""

    accuracy: float
    miou: float


def voxel_set(sweeps: Sequence[LabelledSweep], config: SweepsConfig, model: VoxelMAE) -> VoxelSet:
    """Voxels with the class that most of their points have. Of four sweeps or more, the last quarter is held out; of
    fewer, every fourth of twelve sectors around the sensor, which touch those that are trained on: a smoke test.

    Raises:
        UserError: no labelled voxel to train on, or none to score.
    """
    grid, batches, labels, held, training = model.config.encoder.grid, [], [], [], []
    for number, sweep in enumerate(sweeps):
        points = torch.from_numpy(np.array(sweep.points))
        made = in_grid(points, config, grid)
        indices = torch.cat([torch.zeros(len(made.indices), 1, dtype=torch.int64), made.indices], dim=1)
        features = made.features[:, : model.config.encoder.features]
        batches.append(VoxelBatch(features, indices, torch.tensor([0, len(indices)])))
        labels.append(majority(made.voxel_of.numpy(), sweep.labels, len(indices)))
        if len(sweeps) >= SPLIT_BY_SWEEP:
            held.append(np.full(len(indices), number >= len(sweeps) - len(sweeps) // 4))
        else:
            azimuth = torch.atan2(made.features[:, 1], made.features[:, 0]).numpy()
            held.append(np.floor((azimuth + np.pi) / (2 * np.pi) * SECTORS) % 4 == 3)
        of_points = np.append(held[-1], True)[made.voxel_of.numpy()]  # points of no voxel are not trained on
        training.append(sweep._replace(labels=np.where(of_points, -1, sweep.labels)))
    found = VoxelSet(batches, labels, held, training)
    for part, name in ((False, "to train on"), (True, "to score")):
        if len(np.unique(found.joined(part))) < (1 if part else 2):
            raise UserError(f"{sweeps[0].name}: no labelled voxels {name} in the range of the model")
    return found


def majority(voxel_of: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The class that most labelled points of each voxel have, the lowest of several; -1 where none is labelled."""
    known = (voxel_of >= 0) & (labels >= 0)
    votes = np.zeros((count, int(labels.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(votes, (voxel_of[known], labels[known]), 1)
    return np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1)


def segmentation_score(predicted: np.ndarray, true: np.ndarray) -> SegmentationScore:
    """Accuracy and mean IoU over the classes that occur in what is predicted or true."""
    shares = []
    for label in np.union1d(predicted, true):
        both, either = (predicted == label) & (true == label), (predicted == label) | (true == label)
        shares.append(both.sum() / either.sum())
    return SegmentationScore(accuracy(predicted, true), float(np.mean(shares)))


def probe_voxels(model: VoxelMAE, found: VoxelSet, seeds: int = 3) -> list[tuple[str, MeanStd, MeanStd]]:
    """Logistic regression on frozen features of voxels, beside two controls: (features, accuracy, mean IoU) each.

    The controls are the same network with fresh weights, and a voxel's own position, intensity and distance.
    """
    rows = [("pretrained", [_fit(_features(model.encoder.at_voxels, model, found), found, s) for s in range(seeds)])]
    fresh = [untrained(model, seed) for seed in range(seeds)]
    rows.append(("untrained", [_fit(_features(m.encoder.at_voxels, m, found), found, s) for s, m in enumerate(fresh)]))
    own = [torch.cat([b.features, b.features[:, :2].norm(dim=1, keepdim=True)], 1).numpy() for b in found.batches]
    rows.append(("position and intensity alone", [_fit(own, found, seed) for seed in range(seeds)]))
    return [(name, mean_std([r.accuracy for r in runs]), mean_std([r.miou for r in runs])) for name, runs in rows]


@torch.no_grad()
def _features(at_voxels: Callable[..., Tensor], model: VoxelMAE, found: VoxelSet) -> list[np.ndarray]:
    return [at_voxels(model.tokenize(batch)).float().numpy() for batch in found.batches]


def _fit(features: Sequence[np.ndarray], found: VoxelSet, seed: int) -> SegmentationScore:
    """Trained on at most 20,000 voxels, which the seed draws."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, labels = found.select(features, False), found.joined(False)
    chosen = np.random.default_rng(seed).permutation(len(train))[:MOST]
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    fitted.fit(train[chosen], labels[chosen])
    return segmentation_score(fitted.predict(found.select(features, True)), found.joined(True))
