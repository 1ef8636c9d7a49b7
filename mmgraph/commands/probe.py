"""`mmgraph probe`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.files import write_atomically
from core.reporting.tables import Table


def probe(run: str, data: str | None = None, controls: bool = True, out: str | None = None) -> None:
    """Probe frozen embeddings by the protocol of the papers, mean and std over pretraining seeds.

    Nodes: a linear layer, scored at the epoch of best validation accuracy. Graphs: an SVM, ten folds. Models that were
    trained on a part of the edges are also scored on those that were set aside.

    Args:
        run: run folder, or one with a folder seed-N for every pretraining seed.
        data: labelled data; that of the pretraining where none is given.
        controls: also probe the same network untrained, and raw features.
        out: JSON file for the results; RUN/probe.json where none is given.
    """
    from core.config import from_dict
    from core.training.run import RunFolder
    from mmgraph.config import GraphProbeConfig, LinksConfig, NodeProbeConfig
    from mmgraph.data.sets import NodeSet
    from mmgraph.data.sources import load
    from mmgraph.features import probe_rows
    from mmgraph.links import link_rows
    from mmgraph.models import load_model
    from mmgraph.pretrain import all_graphs

    base = Path(run)
    folders = sorted(base.glob("seed-*"), key=lambda p: (len(p.name), p.name)) or [base]
    models = [load_model(folder) for folder in folders]
    config = RunFolder(folders[0]).config()
    where = str(folders[0] / "config.yaml")
    nodes = from_dict(NodeProbeConfig, config.get("probe_nodes", {}), where)
    graphs = from_dict(GraphProbeConfig, config.get("probe_graphs", {}), where)
    source = data or config["data"]
    labelled = load(source)
    models[0].check(all_graphs(labelled), source)
    rows = probe_rows(models, labelled, nodes, graphs, controls)
    print(f"{source}: test accuracy")
    print(Table(("embeddings", "accuracy", "seeds"), rows).text())
    said: dict[str, Any] = {
        "data": source,
        "rows": [{"embeddings": n, "mean": s.mean, "std": s.std, "seeds": k} for n, s, k in rows],
    }
    links = from_dict(LinksConfig, config["links"], where) if "links" in config else None
    if links is not None and not links.train_on_all and isinstance(labelled, NodeSet) and source == config["data"]:
        seeds = [RunFolder(folder).config()["train"]["seed"] for folder in folders]
        scores = link_rows(models, seeds, labelled, links, controls)
        print(f"{source}: edges that were set aside, told from pairs that are none")
        print(Table(("model", "AUC", "AP", "seeds"), scores).text())
        said["links"] = [
            {"model": n, "auc": a.mean, "auc_std": a.std, "ap": p.mean, "ap_std": p.std, "seeds": k}
            for n, a, p, k in scores
        ]
    target = Path(out) if out else base / "probe.json"
    write_atomically(target, (json.dumps(said, indent=1) + "\n").encode())
