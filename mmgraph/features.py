"""Frozen embeddings of a data set, and how well probes read them, beside controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor

from core.config import from_dict
from core.errors import UserError
from core.evaluation.metrics import MeanStd, mean_std
from core.random import derive_seed, generator
from core.reporting.tables import Table
from core.saving import resolve
from core.training.run import RunFolder
from mmgraph.categories import count_categories, one_hot
from mmgraph.config import GraphProbeConfig, NodeProbeConfig
from mmgraph.data.ego import EgoSet
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.graph import join
from mmgraph.models import load_model
from mmgraph.models.gmae import GMAE
from mmgraph.probes import pool, probe_graphs, probe_nodes, probe_nodes_by

BATCH = 256  # graphs
NODE_PROBES = ("linear", "svm", "knn")
GRAPH_PROBES = ("svm",)


@dataclass(frozen=True)
class ProbeConfig:
    """Settings of both kinds of probes."""

    nodes: NodeProbeConfig = field(default_factory=NodeProbeConfig)
    graphs: GraphProbeConfig = field(default_factory=GraphProbeConfig)


def probe_config_of(source: str | Path) -> ProbeConfig:
    """The settings in the recipe of the run that trained a model; the defaults for a model without a run."""
    folder = RunFolder(resolve(source))
    if not (folder.path / "config.yaml").exists():
        return ProbeConfig()
    config, where = folder.config(), str(folder.path / "config.yaml")
    pooled = {"pool": config["pool"]} if "pool" in config else {}  # of a fine-tuning
    return ProbeConfig(
        from_dict(NodeProbeConfig, config.get("probe_nodes", {}), where),
        from_dict(GraphProbeConfig, config.get("probe_graphs", pooled), where),
    )


def data_of(source: str | Path) -> str:
    """What a run was trained on.

    Raises:
        UserError: the model comes without a run, or the run had data from Python.
    """
    folder = RunFolder(resolve(source))
    if not (folder.path / "config.yaml").exists():
        raise UserError(f"{source}: a model without a run, which names no data; name some with --data")
    named = folder.config().get("data")
    if not isinstance(named, str) or not named:
        raise UserError(f"{folder.path / 'config.yaml'}: names no data; name some with --data")
    return named


def load_encoder_on(source: str | Path, device: str) -> Any:
    """A saved model on a device ("auto": a GPU where there is one).

    Raises:
        UserError: a device that is not there, and what loading raises.
    """
    model = load_model(source)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        said = str(error).splitlines()[0]
        raise UserError(f"--device {device}: cannot be used ({said}); expected cpu, or cuda with a GPU") from error


@torch.no_grad()
def embed_nodes(model: Any, data: NodeSet) -> Tensor:
    """(T, C) embeddings, in evaluation mode."""
    if isinstance(model, GMAE):
        return embed_roots(model, EgoSet(data, model.config.neighbours))
    return model.eval().encode(data.graph.to(device_of(model))).float().cpu()


@torch.no_grad()
def embed_roots(model: GMAE, data: EgoSet) -> Tensor:
    """(T, C) embeddings of all nodes, each the root of several ego-graphs over which it is averaged; always the same draws."""
    device = next(model.eval().parameters()).device
    found = []
    for start in range(0, len(data), BATCH):
        nodes = range(start, min(start + BATCH, len(data)))
        total = torch.zeros(len(nodes), model.config.dim)
        for view in range(model.config.views):
            egos = data.collate([data.sample(node, generator(view, node, "embed")) for node in nodes]).to(device)
            total += model.encode(egos)[egos.offsets[:-1]].float().cpu()
        found.append(total / model.config.views)
    return torch.cat(found)


@torch.no_grad()
def embed_graphs(model: Any | None, data: GraphSet, config: GraphProbeConfig) -> Tensor:
    """(B, C) pooled embeddings, in evaluation mode; pooled features where no model is given."""
    found = []
    sizes = None if model is not None else node_categories(data)
    for start in range(0, len(data), BATCH):
        graphs = join(data.graphs[start : start + BATCH])
        if model is None:
            nodes = plain_features(graphs.x, sizes)
        else:
            nodes = model.eval().encode(graphs.to(device_of(model))).cpu()
        found.append(pool(nodes, graphs, config).float().cpu())
    return torch.cat(found)


def node_categories(data: NodeSet | GraphSet) -> list[int] | None:
    """Categories of every column of the nodes in all graphs; None where nodes have features."""
    graphs = (data.graph,) if isinstance(data, NodeSet) else data.graphs
    if graphs[0].x.is_floating_point():
        return None
    return torch.tensor([count_categories(graph.x) for graph in graphs]).amax(0).tolist()


def plain_features(x: Tensor, sizes: list[int] | None) -> Tensor:
    """What a probe reads without a model: features as they are, categories as one-hot vectors."""
    return x.float() if sizes is None else one_hot(x, sizes)


def raw_nodes(data: NodeSet) -> Tensor:
    """(T, F) what a probe of the nodes reads without a model."""
    return plain_features(data.graph.x, node_categories(data))


def device_of(model: Any) -> torch.device:
    """Where a model's weights are."""
    return next(model.parameters()).device


def probe_set(
    model: Any | None, data: NodeSet | GraphSet, config: ProbeConfig, seed: int, methods: Sequence[str]
) -> list[float]:
    """Accuracy of one model by every method; of the raw features where no model is given."""
    if isinstance(data, GraphSet):
        return [probe_graphs(embed_graphs(model, data, config.graphs).numpy(), data)]
    embeddings = raw_nodes(data) if model is None else embed_nodes(model, data)
    found = []
    for method in methods:
        if method == "linear":
            found.append(probe_nodes(embeddings, data, config.nodes, seed).accuracy)
        else:
            found.append(probe_nodes_by(cast(Literal["svm", "knn"], method), embeddings, data))
    return found


def untrained(model: Any, seed: int) -> Any:
    """The same network with fresh weights."""
    torch.manual_seed(derive_seed(seed, "untrained"))
    return type(model)(model.config).eval()


class ProbeRow(NamedTuple):
    """One line of a probe: which embeddings, which probe, accuracy over pretraining seeds."""

    embeddings: str
    probe: str
    accuracy: MeanStd


def probe_rows(
    models: Sequence[Any],
    data: NodeSet | GraphSet,
    config: ProbeConfig,
    controls: bool = True,
    methods: Sequence[str] = (),
) -> list[ProbeRow]:
    """Accuracies of pretrained models, one a seed, and of two controls: the network untrained, and raw features.

    Args:
        methods: of :data:`NODE_PROBES` for nodes, the first of them where none is given; graphs have one probe.

    Raises:
        UserError: an unknown method, or data that cannot be probed.
    """
    known = NODE_PROBES if isinstance(data, NodeSet) else GRAPH_PROBES
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


def seed_folders(run: str | Path) -> list[Path | str]:
    """The folders ``seed-N`` of a run in order, or the run itself."""
    found = sorted(Path(run).glob("seed-*"), key=lambda path: (len(path.name), path.name))
    return list(found) or [run]
