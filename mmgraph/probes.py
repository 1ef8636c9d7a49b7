"""How the papers on graphs score frozen embeddings: a linear layer on nodes, an SVM on pooled graphs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import UserError
from core.random import derive_seed
from mmgraph.config import GraphProbeConfig, NodeProbeConfig
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.graph import Graphs

FOLDS = 10
C_GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


class NodeScore(NamedTuple):
    """Test accuracy at the epoch of best validation accuracy (the last among equals), that accuracy, and the last epoch's."""

    accuracy: float
    validation: float
    last: float


def probe_nodes(embeddings: Tensor, data: NodeSet, config: NodeProbeConfig, seed: int) -> NodeScore:
    """Train one linear layer on the embeddings of the training nodes, full batch, by Adam.

    Args:
        embeddings: (T, C).
        seed: of the layer's weights.

    Raises:
        UserError: embeddings that are not finite.

    Source: node_classification_evaluation in GraphMAE's official code.
    """
    if not bool(embeddings.isfinite().all()):
        raise UserError("embeddings: NaN or infinite values; expected finite ones")
    if config.normalize:
        embeddings = F.normalize(embeddings)
    torch.manual_seed(derive_seed(seed, "probe"))
    layer = nn.Linear(embeddings.shape[1], data.classes)
    optimizer = torch.optim.Adam(layer.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    parts = {name: (embeddings[nodes], data.labels[nodes]) for name, nodes in (("val", data.val), ("test", data.test))}
    x, y = embeddings[data.train], data.labels[data.train]
    best = last = (-1.0, -1.0)
    for _ in range(config.epochs):
        optimizer.zero_grad()
        F.cross_entropy(layer(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            val, test = (float((layer(at).argmax(1) == of).double().mean()) for at, of in parts.values())
        last = (val, test)
        if val >= best[0]:
            best = last
    return NodeScore(best[1], best[0], last[1])


def pool(embeddings: Tensor, graphs: Graphs, config: GraphProbeConfig) -> Tensor:
    """Embeddings of nodes as embeddings of graphs: (T, C) -> (B, C)."""
    index = graphs.graph_of_node[:, None].expand_as(embeddings)
    reduce = {"mean": "mean", "max": "amax", "sum": "sum"}[config.pool]
    empty = embeddings.new_zeros(len(graphs), embeddings.shape[1])
    return empty.scatter_reduce(0, index, embeddings, reduce, include_self=False)


def probe_graphs(embeddings: NDArray[np.floating], data: GraphSet, seed: int = 0) -> float:
    """Mean accuracy of an SVM with radial kernel over ten stratified folds, C chosen inside each training part.

    Args:
        embeddings: (B, C).
        seed: of the folds; the papers use 0 for every pretraining.

    Raises:
        UserError: embeddings that are not finite, or a class with fewer members than folds.

    Source: evaluate_graph_embeddings_using_svm in GraphMAE's official code, after Sun et al., "InfoGraph".
    """
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import SVC

    if not np.isfinite(embeddings).all():
        raise UserError("embeddings: NaN or infinite values; expected finite ones")
    counts = np.bincount(data.labels)
    if len(counts[counts > 0]) < 2 or counts[counts > 0].min() < FOLDS:
        raise UserError(f"{data.name}: {counts.tolist()} graphs a class; expected two classes of at least {FOLDS}")
    scores = []
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(embeddings, data.labels):
        search = GridSearchCV(SVC(random_state=42), {"C": list(C_GRID)}, cv=5, scoring="accuracy")
        search.fit(embeddings[train], data.labels[train])
        scores.append(search.score(embeddings[test], data.labels[test]))
    return float(np.mean(scores))
