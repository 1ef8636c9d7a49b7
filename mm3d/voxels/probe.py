"""What frozen features say of single voxels or pillars: the class of what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.evaluation.metrics import MeanStd, accuracy, mean_std
from core.evaluation.untrained import untrained
from mm3d.data.labelled_sweeps import LabelledSweep
from mm3d.voxels.cells import Cells, majority

SECTORS, SPLIT_BY_SWEEP, MOST = 12, 4, 20_000


class Probed(Protocol):
    """A model with features of single cells."""

    def tokens(self, batch: Any) -> Tensor:
        """A batch of T cells -> (T, C)."""


class CellSet(NamedTuple):
    """Sweeps as batches of one; of every cell what it says by itself, its class (-1 for none), and whether it is held out."""

    batches: list[Any]
    own: list[np.ndarray]
    labels: list[np.ndarray]
    held_out: list[np.ndarray]

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


def cell_set(sweeps: Sequence[LabelledSweep], cut: Callable[[Tensor], Cells]) -> CellSet:
    """Cells with the class that most of their points have. Of four sweeps or more, the last quarter is held out; of
    fewer, every fourth of twelve sectors around the sensor, which touch those that are trained on: a smoke test.

    Args:
        sweeps: with a class for every point.
        cut: points (N, 4) to cells.

    Raises:
        UserError: no labelled cell to train on, or none to score.
    """
    found = CellSet([], [], [], [])
    for number, sweep in enumerate(sweeps):
        cells = cut(torch.from_numpy(np.array(sweep.points)))
        means = cells.means
        found.batches.append(cells.batch)
        found.own.append(torch.cat([means, means[:, :2].norm(dim=1, keepdim=True)], 1).numpy())
        found.labels.append(majority(cells.cell_of.numpy(), sweep.labels, len(means)))
        if len(sweeps) >= SPLIT_BY_SWEEP:
            found.held_out.append(np.full(len(means), number >= len(sweeps) - len(sweeps) // 4))
        else:
            azimuth = torch.atan2(means[:, 1], means[:, 0]).numpy()
            found.held_out.append(np.floor((azimuth + np.pi) / (2 * np.pi) * SECTORS) % 4 == 3)
    for part, name in ((False, "to train on"), (True, "to score")):
        if len(np.unique(found.joined(part))) < (1 if part else 2):
            raise UserError(f"{sweeps[0].name}: no labelled voxels {name} in the range of the model")
    return found


def segmentation_score(predicted: np.ndarray, true: np.ndarray) -> SegmentationScore:
    """Accuracy and mean IoU over the classes that occur in what is predicted or true."""
    shares = []
    for label in np.union1d(predicted, true):
        both, either = (predicted == label) & (true == label), (predicted == label) | (true == label)
        shares.append(both.sum() / either.sum())
    return SegmentationScore(accuracy(predicted, true), float(np.mean(shares)))


def probe_cells(model: Probed, found: CellSet, seeds: int = 3) -> list[tuple[str, MeanStd, MeanStd]]:
    """Logistic regression on frozen features of cells, beside two controls: (features, accuracy, mean IoU) each.

    The controls are the same network with fresh weights, and a cell's own mean position, intensity and distance.
    """
    rows = [("pretrained", [_fit(_features(model, found), found, seed) for seed in range(seeds)])]
    fresh = [untrained(model, seed) for seed in range(seeds)]
    rows.append(("untrained", [_fit(_features(other, found), found, seed) for seed, other in enumerate(fresh)]))
    rows.append(("position and intensity alone", [_fit(found.own, found, seed) for seed in range(seeds)]))
    return [(name, mean_std([r.accuracy for r in runs]), mean_std([r.miou for r in runs])) for name, runs in rows]


@torch.no_grad()
def _features(model: Probed, found: CellSet) -> list[np.ndarray]:
    return [model.tokens(batch).float().numpy() for batch in found.batches]


def _fit(features: Sequence[np.ndarray], found: CellSet, seed: int) -> SegmentationScore:
    """Trained on at most 20,000 voxels, which the seed draws."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, labels = found.select(features, False), found.joined(False)
    chosen = np.random.default_rng(seed).permutation(len(train))[:MOST]
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    fitted.fit(train[chosen], labels[chosen])
    return segmentation_score(fitted.predict(found.select(features, True)), found.joined(True))
