"""How well a model tells edges it has not seen from pairs that are none."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch

from core.config import from_dict
from core.errors import UserError
from core.evaluation.metrics import MeanStd, mean_std
from core.evaluation.untrained import untrained
from core.training.run import RunFolder
from mmgraph.config.links import LinksConfig
from mmgraph.data.inductive import InductiveSet
from mmgraph.data.links import ScoredPairs, edges_digest, split_links
from mmgraph.data.sets import GraphSet, NodeSet


class LinkScore(NamedTuple):
    """Area under the ROC curve, and average precision."""

    auc: float
    ap: float


@torch.no_grad()
def score_links(model: Any, pairs: ScoredPairs) -> LinkScore:
    """Score the pairs by the model's own decoder, in evaluation mode.

    Raises:
        UserError: a model that scores no edges.
        FloatingPointError: scores that are not finite.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    if not hasattr(model, "score_edges"):
        raise UserError(f"a {type(model).__name__} scores no edges; expected a model that was trained to")
    device = next(model.parameters()).device
    both = torch.cat([pairs.edges, pairs.others], 1).to(device)
    scores = model.eval().score_edges(pairs.graph.to(device), both).float().cpu()
    if not bool(scores.isfinite().all()):
        raise FloatingPointError("scores of edges are NaN or infinite")
    labels = torch.arange(both.shape[1]) < pairs.edges.shape[1]
    return LinkScore(float(roc_auc_score(labels, scores)), float(average_precision_score(labels, scores)))


def link_rows(
    models: list[Any], runs: list[Path], data: NodeSet | GraphSet | InductiveSet, source: str, controls: bool
) -> list[tuple[str, MeanStd, MeanStd, int]]:
    """(model, AUC, AP over pretraining seeds, number of seeds) on the edges that each run has set aside for its test.

    Args:
        runs: the run folder of each model, whose seed has split the edges.
        source: the word for the data.
        controls: also score the same networks untrained.

    Returns:
        No row where the runs have set no edges of this very data aside, or do not say of which edges, which a warning says.

    Raises:
        UserError: edges of the run's own data are not those it began with, so that it may have trained on what is scored.
    """
    config = RunFolder(runs[0]).config() if (runs[0] / "config.yaml").is_file() else {}
    if "links" not in config or not isinstance(data, NodeSet):
        return []
    links: LinksConfig = from_dict(LinksConfig, config["links"], str(runs[0] / "config.yaml"))
    if links.train_on_all:
        return []
    now = edges_digest(data.graph)
    for run in runs:
        began = RunFolder(run).environment().get("data", {}).get("edges_sha256")
        if began == now:
            continue
        if source != config["data"]:
            return []
        if began is None:
            warnings.warn(
                f"{run}: does not say which edges it began with, so that links cannot be scored", stacklevel=2
            )
            return []
        raise UserError(
            f"{run}: set edges of {source} aside that are not the edges there now (edges_sha256 in environment.json); "
            "expected those it began with, as others may have been trained on. Other data is named by --data"
        )
    seeds = [int(RunFolder(run).config()["train"]["seed"]) for run in runs]
    kinds = {"pretrained": models}
    if controls:
        kinds["untrained"] = [untrained(model, seed) for model, seed in zip(models, seeds, strict=True)]
    rows = []
    for name, scored in kinds.items():
        try:
            scores = [score_links(m, split_links(data, links, s).test) for m, s in zip(scored, seeds, strict=True)]
        except FloatingPointError as error:
            raise UserError(f"{runs[0]}: {error}; expected a model that was trained to the end") from error
        rows.append((name, mean_std([s.auc for s in scores]), mean_std([s.ap for s in scores]), len(scores)))
    return rows
