"""How well a model tells edges it has not seen from pairs that are none."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from core.errors import UserError
from core.evaluation.metrics import MeanStd, mean_std
from mmgraph.config.links import LinksConfig
from mmgraph.data.links import ScoredPairs, split_links
from mmgraph.data.sets import NodeSet
from mmgraph.features import untrained


class LinkScore(NamedTuple):
    """Area under the ROC curve, and average precision."""

    auc: float
    ap: float


@torch.no_grad()
def score_links(model: Any, pairs: ScoredPairs) -> LinkScore:
    """Score the pairs by the model's own decoder, in evaluation mode.

    Raises:
        UserError: a model that scores no edges, or scores that are not finite.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    if not hasattr(model, "score_edges"):
        raise UserError(f"a {type(model).__name__} scores no edges; expected a model that was trained to")
    device = next(model.parameters()).device
    both = torch.cat([pairs.edges, pairs.others], 1).to(device)
    scores = model.eval().score_edges(pairs.graph.to(device), both).float().cpu()
    if not bool(scores.isfinite().all()):
        raise UserError("scores of edges: NaN or infinite values; expected finite ones")
    labels = torch.arange(both.shape[1]) < pairs.edges.shape[1]
    return LinkScore(float(roc_auc_score(labels, scores)), float(average_precision_score(labels, scores)))


def link_rows(
    models: list[Any], seeds: list[int], data: NodeSet, config: LinksConfig, controls: bool
) -> list[tuple[str, MeanStd, MeanStd, int]]:
    """(model, AUC, AP over pretraining seeds, number of seeds) on the test edges of each seed's own split.

    Args:
        seeds: the training seed of each model, which has split its edges.
        controls: also score the same networks untrained.

    Raises:
        UserError: models that have been trained on the test edges.
    """
    if config.train_on_all:
        raise UserError(
            "links: these models have been trained on all edges (links.train_on_all); no edge is left to test"
        )
    kinds = {"pretrained": models}
    if controls:
        kinds["untrained"] = [untrained(model, seed) for model, seed in zip(models, seeds, strict=True)]
    rows = []
    for name, scored in kinds.items():
        scores = [score_links(m, split_links(data, config, s).test) for m, s in zip(scored, seeds, strict=True)]
        rows.append((name, mean_std([s.auc for s in scores]), mean_std([s.ap for s in scores]), len(scores)))
    return rows
