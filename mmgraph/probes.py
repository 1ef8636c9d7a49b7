"""How frozen embeddings are scored: nodes by a linear layer (as the papers do), SVM or neighbours; graphs by an SVM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import UserError
from core.evaluation.probes import ProbeData, knn, linear_svm
from core.evaluation.radial_svm import cross_validated_svm
from core.random import derive_seed
from mmgraph.config import NodeProbeConfig
from mmgraph.data.sets import GraphSet, NodeSet

FOLDS = 10
C_GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


Batches = Sequence[tuple[Tensor, Tensor]]
"""Embeddings and labels, a pair a batch."""


class NodeScore(NamedTuple):
    """Test accuracy at the epoch of best validation accuracy, that accuracy, and the last epoch's.

    Of equal epochs the settings say which is taken. Where nodes have several labels each, F1 stands in the place of accuracy.
    """

    accuracy: float
    validation: float
    last: float


def probe_nodes(embeddings: Tensor, data: NodeSet, config: NodeProbeConfig, seed: int) -> NodeScore:
    """Train one linear layer on the embeddings of the training nodes, full batch, by Adam.

    Args:
        embeddings: (T, C).
        seed: of the layer's weights.

    Raises:
        UserError: embeddings that are not finite, or a graph without labels.

    Source: node_classification_evaluation in GraphMAE's official code.
    """
    if not data.labelled:
        raise UserError(f"{data.name}: its nodes have no labels; expected some to score embeddings by")
    train, val, test = ([(embeddings[nodes], data.labels[nodes])] for nodes in (data.train, data.val, data.test))
    return probe_parts((train, val, test), data.classes, config, seed)


def probe_parts(parts: tuple[Batches, Batches, Batches], classes: int, config: NodeProbeConfig, seed: int) -> NodeScore:
    """Train one linear layer on batches of embeddings in a fixed order, a step of Adam each, and score it every epoch.

    Args:
        parts: train, val and test, each batches of embeddings (N, C) and labels: (N,) int64 classes, -1
            for none, scored by accuracy; or (N, classes) float32 of 0 and 1, scored by the F1 of all decisions together.
        seed: of the layer's weights.

    Raises:
        UserError: embeddings that are not finite.

    Source: main_inductive.py in GraphMAE's official code; train_nodeclas.py in MaskGAE's and regression.py in GMAE's, which
    begin with other weights and take the first epoch among equals.
    """
    train, val, test = (_labelled(part) for part in parts)
    if not all(bool(x.isfinite().all()) for part in (train, val, test) for x, _ in part):
        raise UserError("embeddings: NaN or infinite values; expected finite ones")
    torch.manual_seed(derive_seed(seed, "probe"))
    layer = nn.Linear(train[0][0].shape[1], classes)
    if config.init == "xavier":
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(layer.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    loss = F.cross_entropy if train[0][1].ndim == 1 else F.binary_cross_entropy_with_logits
    best = last = (-1.0, -1.0)
    for _ in range(config.epochs):
        for x, y in train:
            optimizer.zero_grad()
            loss(layer(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            last = (_score(layer, val), _score(layer, test))
        if last[0] > best[0] or (last[0] == best[0] and config.ties == "last"):
            best = last
    return NodeScore(best[1], best[0], last[1])


def probe_nodes_by(method: Literal["svm", "knn"], embeddings: Tensor, data: NodeSet) -> float:
    """Test accuracy of a linear SVM or of nearest neighbours, fitted on the training nodes; C or k by the validation nodes.

    Args:
        embeddings: (T, C); standardised with mean and deviation of the training nodes.

    Raises:
        UserError: embeddings that are not finite.
    """
    parts = [(embeddings[nodes].numpy(), data.labels[nodes].numpy()) for nodes in (data.train, data.test, data.val)]
    given = ProbeData(*parts[0], *parts[1], *parts[2])
    return {"svm": linear_svm, "knn": knn}[method](given, 0).accuracy


def _labelled(part: Batches) -> Batches:
    """Batches without the nodes that have no label."""
    kept = ((x, y, y >= 0) if y.ndim == 1 else (x, y, None) for x, y in part)
    return [(x, y) if keep is None or bool(keep.all()) else (x[keep], y[keep]) for x, y, keep in kept]


def _score(layer: nn.Module, part: Batches) -> float:
    """Accuracy, or F1 over all nodes and labels (micro)."""
    labels = torch.cat([y for _, y in part])
    out = torch.cat([layer(x) for x, _ in part])
    if labels.ndim == 1:
        return float((out.argmax(1) == labels).double().mean())
    chosen, true = out >= 0, labels > 0
    both = int((chosen & true).sum())
    return 2 * both / max(int(chosen.sum()) + int(true.sum()), 1)


def probe_graphs(embeddings: NDArray[np.floating], data: GraphSet, seed: int = 0) -> float:
    """Mean accuracy of an SVM with radial kernel over ten stratified folds, C chosen inside each training part.

    Args:
        embeddings: (B, C).
        seed: of the folds; the papers use 0 for every pretraining.

    Raises:
        UserError: embeddings that are not finite, or a class with fewer members than folds.

    Source: evaluate_graph_embeddings_using_svm in GraphMAE's official code, after Sun et al., "InfoGraph".
    """
    if not np.isfinite(embeddings).all():
        raise UserError("embeddings: NaN or infinite values; expected finite ones")
    if (data.labels < 0).any():
        raise UserError(f"{data.name}: not all of its graphs have labels; expected a class each to score embeddings by")
    counts = np.bincount(data.labels)
    if len(counts[counts > 0]) < 2 or counts[counts > 0].min() < FOLDS:
        raise UserError(f"{data.name}: {counts.tolist()} graphs a class; expected two classes of at least {FOLDS}")
    return float(np.mean(cross_validated_svm(embeddings, data.labels, FOLDS, C_GRID, seed)))
