"""A linear layer on frozen features of residues, by minibatches, so that millions of residues need little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import UserError
from core.evaluation.metrics import accuracy, average_precision, mcc
from core.random import derive_seed
from mmbio.config.probes import ResidueProbeConfig
from mmbio.data.sets import LabelledSequences
from mmbio.residue_features import Features

CHUNK = 65_536
"""Most residues that are made float32 at a time, and shuffled among each other."""
VALUES = 2**26
"""Most of their features, so that of wide ones fewer residues are taken: 256 MiB."""


def probe_residues(
    features: Features, data: LabelledSequences, config: ResidueProbeConfig, seed: int
) -> dict[str, float]:
    """Train one linear layer with softmax by Adam; test scores at the epoch of best validation score, the first among equals.

    Sequences are shuffled anew every epoch, and their residues within a chunk of :data:`CHUNK`.

    Args:
        features: of all sequences of ``data``.
        seed: of the layer's weights and of the order.

    Returns:
        ``accuracy`` (for three classes of secondary structure it is Q3); for two classes also ``MCC`` and
        ``average precision`` of the second class, which then is the score that chooses.

    Raises:
        UserError: a part without any labelled residue, or a training part of one class.
    """
    for part in (data.train, data.validation, data.test):
        if not any((data.labels[i] >= 0).any() for i in part):
            raise UserError(f"{data.name}: a part without any residue that has a class")
    if len(np.unique(np.concatenate([np.unique(data.labels[i]) for i in data.train] + [np.array([-1])]))) < 3:
        raise UserError(f"{data.name}: all training residues have one class; a probe needs at least two")
    torch.manual_seed(derive_seed(seed, "probe"))
    layer = nn.Linear(features.width, len(data.classes))
    optimizer = torch.optim.Adam(layer.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    residues = sum(int((data.labels[i] >= 0).sum()) for i in data.train)
    seen, best, kept = 0, -1.0, layer.state_dict()
    for epoch in range(config.epochs):
        shuffled = np.random.default_rng([seed, epoch])
        for x, y in chunks(features, data, shuffled.permutation(data.train)):
            for some in torch.from_numpy(shuffled.permutation(len(y))).split(config.batch_size):
                optimizer.param_groups[0]["lr"] = config.lr * (1 - seen / (residues * config.epochs))
                optimizer.zero_grad()
                F.cross_entropy(layer(x[some]), y[some]).backward()
                optimizer.step()
                seen += len(some)
        score = next(reversed(residue_scores(*predict(layer, features, data, data.validation)).values()))
        if score > best:
            best, kept = score, {name: t.clone() for name, t in layer.state_dict().items()}
    layer.load_state_dict(kept)
    return residue_scores(*predict(layer, features, data, data.test))


def residue_scores(chances: Tensor, labels: Tensor) -> dict[str, float]:
    """Scores of (R, K) chances against (R,) classes; the last of them is the one that chooses."""
    predicted, expected = chances.argmax(1).numpy(), labels.numpy()
    found = {"accuracy": accuracy(predicted, expected)}
    if chances.shape[1] == 2:
        found["MCC"] = mcc(predicted, expected)
        both = 0 < int(expected.sum()) < len(expected)
        found["average precision"] = average_precision(chances[:, 1].numpy(), expected) if both else float("nan")
    return found


@torch.no_grad()
def predict(
    layer: nn.Module, features: Features, data: LabelledSequences, part: Sequence[int] | np.ndarray
) -> tuple[Tensor, Tensor]:
    """(R, K) chances of the residues of a part that have a class, and these."""
    found = [(layer(x).softmax(1), y) for x, y in chunks(features, data, part)]
    return torch.cat([x for x, _ in found]), torch.cat([y for _, y in found])


def chunks(
    features: Features, data: LabelledSequences, part: Sequence[int] | np.ndarray
) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (R, C) and classes (R,) of residues that have one, of about :data:`CHUNK` residues of whole sequences."""
    for some in _groups(data, part, min(CHUNK, VALUES // features.width)):
        labels = torch.from_numpy(np.concatenate([data.labels[i] for i in some]))
        labelled = labels >= 0
        if bool(labelled.any()):
            yield features.rows(some)[labelled], labels[labelled]


def _groups(data: LabelledSequences, part: Sequence[int] | np.ndarray, residues: int) -> Iterator[list[int]]:
    group: list[int] = []
    size = 0
    for index in part:
        group.append(int(index))
        size += len(data.texts[index])
        if size >= residues:
            yield group
            group, size = [], 0
    if group:
        yield group
