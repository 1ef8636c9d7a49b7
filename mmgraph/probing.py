"""How well probes read the embeddings of pretrained models, beside controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, cast

from torch.nn import functional as F

from core.errors import UserError
from core.evaluation.metrics import MeanStd, mean_std
from core.evaluation.untrained import untrained
from core.reporting.tables import Table
from mmgraph.data.inductive import InductiveSet
from mmgraph.data.parts import check_training_nodes
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.embedding import embed_graphs, embed_nodes, embed_parts, raw_nodes
from mmgraph.models.classifier import GraphClassifier
from mmgraph.probes import probe_graphs, probe_nodes, probe_nodes_by, probe_parts
from mmgraph.runs import ProbeConfig

NODE_PROBES = ("linear", "svm", "knn")
PART_PROBES = ("linear",)
GRAPH_PROBES = ("svm",)


class ProbeRow(NamedTuple):
    """One line of a probe: which embeddings, which probe, its score over pretraining seeds."""

    embeddings: str
    probe: str
    accuracy: MeanStd


def score_name(data: NodeSet | GraphSet | InductiveSet) -> str:
    """What probes of a data set are scored by."""
    return "micro-F1" if isinstance(data, InductiveSet) and data.several else "accuracy"


def probe_set(
    model: Any | None,
    data: NodeSet | GraphSet | InductiveSet,
    config: ProbeConfig,
    seed: int,
    methods: Sequence[str] = ("linear",),
) -> list[float]:
    """Score of one model by every method; of the raw features where no model is given."""
    if isinstance(data, GraphSet):
        return [probe_graphs(embed_graphs(model, data, config.graphs).numpy(), data)]
    if isinstance(data, InductiveSet):
        return [probe_parts(embed_parts(model, data, config.sampling), data.classes, config.nodes, seed).accuracy]
    if data.labelled:
        check_training_nodes(data, data.name)
    embeddings = raw_nodes(data) if model is None else embed_nodes(model, data, config.sampling)
    if config.nodes.normalize and model is not None:  # what the recipe does to its embeddings, not to raw features
        embeddings = F.normalize(embeddings)
    found = []
    for method in methods:
        if method == "linear":
            found.append(probe_nodes(embeddings, data, config.nodes, seed).accuracy)
        else:
            found.append(probe_nodes_by(cast(Literal["svm", "knn"], method), embeddings, data))
    return found


def probe_rows(
    models: Sequence[Any],
    data: NodeSet | GraphSet | InductiveSet,
    config: ProbeConfig,
    controls: bool = True,
    methods: Sequence[str] = (),
) -> list[ProbeRow]:
    """Scores of pretrained models, one a seed, and of two controls: the network untrained, and raw features.

    Args:
        methods: of :data:`NODE_PROBES` for nodes, the first of them where none is given; other data has one probe.

    Raises:
        UserError: an unknown method, data that cannot be probed, or graphs for a model that was fine-tuned on graphs, which
            may have trained on those of any fold.
    """
    classifiers = [model for model in models if isinstance(model, GraphClassifier)]
    if isinstance(data, GraphSet) and any(model.config.task == "graphs" for model in classifiers):
        raise UserError(
            f"{data.name}: the model was fine-tuned on graphs and may have trained on those of any fold; expected a pretrained "
            "one. What fine-tuning scores on its test part is in its result.json"
        )
    known: tuple[str, ...] = GRAPH_PROBES
    if not isinstance(data, GraphSet):
        known = NODE_PROBES if isinstance(data, NodeSet) else PART_PROBES
    methods = tuple(methods) or known[:1]
    for method in methods:
        if method not in known:
            raise UserError(f"probe {method!r}: not one for {data.name}; expected some of {', '.join(known)}")
    subjects: list[tuple[str, list[Any]]] = [("pretrained", list(models))]
    if controls:
        subjects.append(("untrained", [untrained(models[0], seed) for seed in range(len(models))]))
        # Of the probes only the linear layer depends on a seed.
        subjects.append(("raw features", [None] * (len(models) if "linear" in methods else 1)))
    rows = []
    for name, some in subjects:
        scores = [probe_set(model, data, config, seed, methods) for seed, model in enumerate(some)]
        for number, method in enumerate(methods):
            rows.append(ProbeRow(name, method, mean_std([score[number] for score in scores])))
    return rows


def probe_table(rows: Sequence[ProbeRow]) -> Table:
    """Embeddings down, probes across."""
    methods = list(dict.fromkeys(row.probe for row in rows))
    found = {(row.embeddings, row.probe): row.accuracy for row in rows}
    names = dict.fromkeys(row.embeddings for row in rows)
    return Table(("embeddings", *methods), [(name, *(found[name, m] for m in methods)) for name in names])
