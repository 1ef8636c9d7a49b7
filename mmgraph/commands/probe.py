"""`mmgraph probe`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import write_atomically
from core.reporting.tables import Table


def probe(
    run: str,
    data: str | None = None,
    methods: str = "",
    controls: bool = True,
    lr: float | None = None,
    weight_decay: float | None = None,
    epochs: int | None = None,
    normalize: bool | None = None,
    device: str = "auto",
    out: str | None = None,
) -> None:
    """Probe frozen embeddings, mean and std over pretraining seeds.

    Nodes: a linear layer scored at the epoch of best validation accuracy (F1 where a node has several labels), as the
    papers do it; a linear SVM; nearest neighbours. Graphs: an SVM, ten folds. Models that were trained on a part of the
    edges of the same graph are also scored on those that were set aside.

    Args:
        run: run folder, or one with a folder seed-N for every pretraining seed.
        data: labelled data; that of the pretraining where none is given.
        methods: for nodes some of linear,svm,knn; linear where none is given.
        controls: also probe the same network untrained, and raw features.
        lr: of the linear layer; that of the run's recipe where none is given, and so below.
        weight_decay: of the linear layer.
        epochs: of the linear layer.
        normalize: divide embeddings of nodes by their length.
        device: where embeddings are computed; auto takes a GPU where there is one.
        out: JSON file for the results; RUN/probe.json where none is given.
    """
    from core.cli.options import split_words
    from core.config import from_dict
    from core.devices import moved
    from core.training.pretrained import data_of, seed_folders
    from mmgraph.config import NodeProbeConfig
    from mmgraph.data.sets import NodeSet
    from mmgraph.data.sources import load
    from mmgraph.links import link_rows
    from mmgraph.models import load_model
    from mmgraph.probing import probe_rows, probe_table, score_name
    from mmgraph.runs import probe_config_of
    from mmgraph.training_data import all_graphs

    if out is not None and not Path(out).resolve().parent.is_dir():
        raise UserError(f"--out {out}: its folder does not exist")
    folders = seed_folders(run)
    config = probe_config_of(folders[0])
    given = {"lr": lr, "weight_decay": weight_decay, "epochs": epochs, "normalize": normalize}
    nodes = asdict(config.nodes) | {name: value for name, value in given.items() if value is not None}
    config = replace(config, nodes=from_dict(NodeProbeConfig, nodes, "mmgraph probe"))
    models = [moved(load_model(folder), device) for folder in folders]
    source = data or data_of(folders[0])
    labelled = load(source)
    models[0].check(all_graphs(labelled), source)
    scores = link_rows(models, [Path(folder) for folder in folders], labelled, source, controls)
    rows = []
    if not scores or not isinstance(labelled, NodeSet) or labelled.labelled:  # links need no labels
        rows = probe_rows(models, labelled, config, controls, split_words(methods))
        print(f"{source}: test {score_name(labelled)}, {len(models)} pretraining seed(s)")
        print(probe_table(rows).text())
    found = [{"embeddings": name, "probe": by, "mean": s.mean, "std": s.std, "seeds": s.count} for name, by, s in rows]
    said: dict[str, Any] = {"data": source, "score": score_name(labelled), "rows": found}
    if scores:
        print(f"{source}: edges that were set aside, told from pairs that are none")
        print(Table(("model", "AUC", "AP", "seeds"), scores).text())
        said["links"] = [
            {"model": n, "auc": a.mean, "auc_std": a.std, "ap": p.mean, "ap_std": p.std, "seeds": k}
            for n, a, p, k in scores
        ]
    target = Path(out) if out else Path(run) / "probe.json"
    if out is None and not target.parent.is_dir():  # a hub id has no folder of ours
        return
    try:
        write_atomically(target, (json.dumps(said, indent=1) + "\n").encode())
    except OSError as error:
        raise UserError(f"{target}: could not be written ({error.strerror or error})") from error
