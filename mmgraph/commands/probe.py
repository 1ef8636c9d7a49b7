"""`mmgraph probe`."""

from __future__ import annotations

import json
from pathlib import Path

from core.files import write_atomically
from core.reporting.tables import Table


def probe(run: str, data: str | None = None, controls: bool = True, out: str | None = None) -> None:
    """Probe frozen embeddings by the protocol of the papers, mean and std over pretraining seeds.

    Nodes: a linear layer, scored at the epoch of best validation accuracy (F1 where a node has several labels). Graphs: an
    SVM, ten folds.

    Args:
        run: run folder, or one with a folder seed-N for every pretraining seed.
        data: labelled data; that of the pretraining where none is given.
        controls: also probe the same network untrained, and raw features.
        out: JSON file for the results; RUN/probe.json where none is given.
    """
    from core.config import from_dict
    from core.training.run import RunFolder
    from mmgraph.config import GraphProbeConfig, NodeProbeConfig, SamplingConfig
    from mmgraph.data.inductive import InductiveSet
    from mmgraph.data.sources import load
    from mmgraph.features import probe_rows
    from mmgraph.models import load_model
    from mmgraph.pretrain import first_graph

    base = Path(run)
    folders = sorted(base.glob("seed-*"), key=lambda p: (len(p.name), p.name)) or [base]
    models = [load_model(folder) for folder in folders]
    config = RunFolder(folders[0]).config()
    where = str(folders[0] / "config.yaml")
    nodes = from_dict(NodeProbeConfig, config.get("probe_nodes", {}), where)
    graphs = from_dict(GraphProbeConfig, config.get("probe_graphs", {}), where)
    sampling = from_dict(SamplingConfig, config.get("sampling", {}), where)
    source = data or config["data"]
    labelled = load(source)
    models[0].check(first_graph(labelled), source)
    rows = probe_rows(models, labelled, nodes, graphs, controls, sampling)
    score = "micro-F1" if isinstance(labelled, InductiveSet) and labelled.several else "accuracy"
    print(f"{source}: test {score}")
    print(Table(("embeddings", score, "seeds"), rows).text())
    said = {
        "data": source,
        "score": score,
        "rows": [{"embeddings": n, "mean": s.mean, "std": s.std, "seeds": k} for n, s, k in rows],
    }
    target = Path(out) if out else base / "probe.json"
    write_atomically(target, (json.dumps(said, indent=1) + "\n").encode())
